"""What the demo says before it begins."""

from __future__ import annotations

from demo.stage import INCIDENT_RATE, INCIDENT_SECONDS, Addresses

__all__ = ["tour"]

_TOUR = """\
logstreamd runs{elsewhere}, on a PostgreSQL of its own. Two sources feed it:
  app      an application, 10 lines/s over TCP to 127.0.0.1:{logs}
  web-api  a web service on {web}; its log files are followed in
           {files}

Look, in another shell{activate}:
  logstreamd tail --url {url}
  logstreamd query --url {url} 'level>=error' --since 5m
  logstreamd query --url {url} --count-by service,level
  curl -s '{url}/api/v1/counts?by=level&step=10s'
  curl -s '{url}/api/v1/alerts'
  curl -s {url}/status

Send a line of yours:
  logger --server 127.0.0.1 --port {logs} --udp --tag me --priority user.err "hello"
  curl -s {web}/users/4711

What happens: {first} s from now, and every {every} s, something breaks: {rate} errors/s for {seconds} s. The alert
ErrorBurst (demo/alerts.yaml) becomes pending, fires 5 s later, and resolves when it is over.
Ctrl-C ends everything and removes what was stored.
"""


def tour(addresses: Addresses, *, files: str, activate: str, first_seconds: int, every_seconds: int) -> str:
    """Return the tour.

    Args:
        addresses: where everything listens.
        files: the directory of the log files that are followed.
        activate: the command that puts ``logstreamd`` on the path of a shell, empty when it is there.
        first_seconds: when the first incident begins.
        every_seconds: from one incident to the next one.
    """
    return _TOUR.format(
        elsewhere=" (on other ports, because the usual ones are taken)" if addresses.taken else "",
        logs=addresses.logs,
        url=addresses.url,
        web=addresses.web_url,
        files=files,
        activate=f" (first: {activate})" if activate else "",
        first=first_seconds,
        every=every_seconds,
        rate=INCIDENT_RATE,
        seconds=INCIDENT_SECONDS,
    )
