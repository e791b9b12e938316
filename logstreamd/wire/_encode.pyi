from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.policy import Policy

__all__ = ["encode", "encode_noting_left"]

def encode(batch: Batch, first_id: int, policy: Policy) -> Encoded: ...
def encode_noting_left(batch: Batch, first_id: int, policy: Policy) -> tuple[Encoded, int]: ...
