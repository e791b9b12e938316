"""``make fuzz``: the twins of encode and read_body under clang's sanitizers, through their tests, then libFuzzer.

Everything lies in ``build/fuzz``: a copy of the package with its compiled modules instrumented, a corpus for each
target (which grows from run to run, from the conformance vectors on), and a file for each finding.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.vectors import load, load_devices

REPOSITORY = Path(__file__).parents[2]
PLACE = REPOSITORY / "build" / "fuzz"
SANITIZERS = "address,undefined,fuzzer-no-link"
TWIN_TESTS = (
    "tests/unit/wire/test_encode.py",
    "tests/unit/wire/test_survey.py",
    "tests/property/test_encode_twins.py",
    "tests/property/test_survey_twins.py",
    "tests/property/test_split_twins.py",
    "tests/unit/wire/test_ingest_body.py",
    "tests/property/test_ingest_body_twins.py",
    "tests/conformance/test_compiled_vectors.py",
)
# What a sanitizer writes before it ends the process must not be captured: so only Python's own output is.
OPTIONS = ("-q", "-m", "not slow", "-p", "no:cacheprovider", "--timeout", "1800", "--capture", "sys")
JSON_SEEDS = (
    b'{"timestamp":"2026-11-21T23:00:00.5Z","level":"warn","service":"s","host":"h","trace_id":"t","message":"m"}',
    b'{"ts":1795302000.25,"lvl":30,"app":7,"msg":"\\u00fc\\n","x":[1,-2,3.50,true,null,{"a":"\\/\\ud83d\\ude00"}]}',
    b' { "a" : { "b" : [ ] } } ',
)
BODY_SEEDS = (
    *JSON_SEEDS,
    b"\r\n".join(JSON_SEEDS),
    b"[" + b" , ".join(JSON_SEEDS) + b"]\n",
    b'{\n  "log": "m",\n  "tags": {"a": 1, "b": [true]}\n}\n',
    b'{"msg":"m","tags":["a","\\\\\\""],"traceId":"t","@timestamp":"2026-11-21t23:00:00,5+0100"}\n\n[]',
)
TARGETS = ("encode", "ingest_body")


def build(clang: str) -> None:
    """Copy the package to the place and build its compiled modules with sanitizers and coverage."""
    for name in ("logstreamd", "tests"):
        shutil.rmtree(PLACE / name, ignore_errors=True)
        shutil.copytree(REPOSITORY / name, PLACE / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, PLACE)
    flags = f"-O1 -g -fno-omit-frame-pointer -fsanitize={SANITIZERS} -fno-sanitize-recover=undefined"
    environment = os.environ | {
        "CC": clang,
        "LDSHARED": f"{clang} -shared",
        # Cython calls its methods through pointers of another type, as all of C Python does.
        "CFLAGS": f"{flags} -fno-sanitize=function",
    }
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=PLACE, env=environment, check=True)


def sanitized() -> dict[str, str]:
    """Return the environment in which the instrumented modules load: the sanitizers' runtime lies beside atheris."""
    found = importlib.util.find_spec("atheris")
    assert found is not None
    assert found.origin is not None
    return os.environ | {
        "LD_PRELOAD": str(Path(found.origin).parents[1] / "asan_with_fuzzer.so"),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter never frees all it has
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(PLACE),
    }


def seeds(target: str) -> Iterator[bytes]:
    """Yield the frames, or bodies, that the search starts from."""
    if target == "ingest_body":
        yield from BODY_SEEDS
        return
    yield from (vector.raw for vector in (*load("message"), *load_devices()))
    yield from JSON_SEEDS


def fuzz(target: str, seconds: int) -> int:
    """Search for as long as that; return libFuzzer's exit status, not 0 after a finding."""
    corpus = PLACE / f"corpus-{target}"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number:04}").write_bytes(seed)
    command = [
        *(sys.executable, f"tests/fuzz/fuzz_{target}.py", str(corpus)),
        *(f"-max_total_time={seconds}", "-timeout=10", "-print_final_stats=1"),
        *("-dict=tests/fuzz/frames.dict", f"-artifact_prefix={PLACE}/finding-{target}-"),
    ]
    return subprocess.run(command, cwd=PLACE, env=sanitized(), check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Look for a frame that the twins read differently.")
    parser.add_argument("--seconds", type=int, default=300, help="how long libFuzzer searches each target (300)")
    arguments = parser.parse_args()
    clang = shutil.which("clang") or shutil.which("clang-14")
    if clang is None:
        print("make fuzz: needs clang and its sanitizers (Debian: apt install clang)", file=sys.stderr)
        return 1
    PLACE.mkdir(parents=True, exist_ok=True)
    build(clang)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *TWIN_TESTS], cwd=PLACE, env=sanitized(), check=False
    )
    searches = (fuzz(target, arguments.seconds) for target in TARGETS)
    return done.returncode or next(filter(None, searches), 0)


if __name__ == "__main__":
    sys.exit(main())
