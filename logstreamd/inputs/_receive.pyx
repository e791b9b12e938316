# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Datagrams from a socket into a batch: the compiled twin of :mod:`logstreamd.inputs.receive`.

Up to 64 datagrams come with one system call (``recvmmsg``) and go into the batch without a Python object for one; a
sender's address is made a text once per call. What is asked for always fits: a datagram that was taken from the kernel
is in the batch that was given, and the batch is full after the same datagram as with the Python twin.

With an admission, the allowance of a sender is asked for once per call, and settled at the end: a datagram that is left
out costs a few comparisons, so a flood from one sender is read as fast as it comes and the others are heard.
"""

cimport cython
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from logstreamd.wire._open_batch cimport OpenBatch, append_frame, close_batch, open_batch

from logstreamd.inputs import receive as _receive
from logstreamd.wire import batch as _batch

__all__ = ["receive_datagrams"]

cdef extern from "<sys/socket.h>" nogil:
    enum: AF_INET, MSG_DONTWAIT
    ctypedef unsigned short sa_family_t
    struct sockaddr_storage:
        sa_family_t ss_family
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, void *timeout)

cdef extern from "<netinet/in.h>" nogil:
    enum: INET6_ADDRSTRLEN
    struct sockaddr_in:
        unsigned int sin_addr
    struct sockaddr_in6:
        unsigned char sin6_addr[16]

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, unsigned int size)

cdef enum:
    # Datagrams per system call: the cost of the call is below 10 ns a datagram then, and 4 MiB hold the largest ones.
    SLOTS = 64
    # As receive.MAX_DATAGRAM_BYTES.
    SLOT_BYTES = 65_535
    # Senders whose number in the batch and whose allowance are remembered during one call; further ones are looked up
    # by their text.
    PEERS = 256

# How an IPv6 socket that serves both versions writes an IPv4 sender: ::ffff:192.0.2.1, RFC 4291 section 2.5.5.2.
cdef const unsigned char *MAPPED_IPV4 = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"

cdef unsigned char TRUNCATED = _batch.TRUNCATED
assert SLOT_BYTES == _receive.MAX_DATAGRAM_BYTES


cdef struct Peer:
    # One sender, remembered: valid in the call that wrote it.
    uint32_t call
    sa_family_t family
    unsigned char address[16]
    uint16_t id


cdef struct Sender:
    # What a sender may still send, and what became of what it sent: valid in the call that wrote it.
    uint32_t call
    sa_family_t family
    unsigned char address[16]
    Py_ssize_t gate  # where its gate is among those of this call
    double records_left
    double bytes_left
    Py_ssize_t taken_records
    Py_ssize_t taken_bytes
    Py_ssize_t cut_records
    Py_ssize_t cut_bytes


@cython.final
@cython.auto_pickle(False)
cdef class Slots:
    """Where the kernel puts datagrams: as many as one system call may bring, each as long as it can be."""

    cdef unsigned char *_data
    cdef iovec _vectors[SLOTS]
    cdef mmsghdr _messages[SLOTS]
    cdef sockaddr_storage _addresses[SLOTS]
    cdef uint16_t _peer_ids[SLOTS]
    cdef Peer _peers[PEERS]
    cdef Sender _senders[PEERS]
    cdef list _gates
    cdef uint32_t _call

    def __cinit__(self):
        cdef int slot
        self._gates = []
        self._data = <unsigned char *> malloc(SLOTS * SLOT_BYTES)
        if self._data == NULL:
            raise MemoryError
        memset(self._messages, 0, sizeof(self._messages))
        for slot in range(SLOTS):
            self._vectors[slot].iov_base = self._data + slot * SLOT_BYTES
            self._vectors[slot].iov_len = SLOT_BYTES
            self._messages[slot].msg_hdr.msg_name = &self._addresses[slot]
            self._messages[slot].msg_hdr.msg_iov = &self._vectors[slot]
            self._messages[slot].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        free(self._data)

    cdef int forget_peers(self) noexcept:
        """Begin a call: another batch may have other numbers for the same senders."""
        self._call += 1
        if self._call == 0:  # after 4 thousand million calls
            memset(self._peers, 0, sizeof(self._peers))
            memset(self._senders, 0, sizeof(self._senders))
            self._call = 1
        return 0

    cdef int fill(self, int fd, unsigned int wanted) except -2:
        """Take waiting datagrams from the kernel.

        Returns:
            How many there were; -1 when the socket told of an earlier error instead, which is no datagram.
        """
        cdef unsigned int slot
        cdef int received
        for slot in range(wanted):  # the kernel writes the real length over it
            self._messages[slot].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
        with nogil:
            received = recvmmsg(fd, self._messages, wanted, MSG_DONTWAIT, NULL)
        if received >= 0:
            return received
        if errno == ECONNREFUSED:
            return -1
        if errno != EAGAIN and errno != EINTR:
            PyErr_SetFromErrno(OSError)
        return 0

    cdef Py_ssize_t admit(self, int received, object admission) except -1:
        """Leave out what may not come in: such a datagram becomes an empty one.

        Returns:
            The bytes left out.
        """
        cdef Py_ssize_t left_out = 0, size
        cdef Sender *sender
        cdef int slot
        for slot in range(received):
            size = self._messages[slot].msg_len
            if size == 0:
                continue
            sender = self._sender(&self._addresses[slot], admission)
            if sender.records_left >= 1 and sender.bytes_left >= size:
                sender.records_left -= 1
                sender.bytes_left -= size
                sender.taken_records += 1
                sender.taken_bytes += size
            else:
                sender.cut_records += 1
                sender.cut_bytes += size
                self._messages[slot].msg_len = 0
                left_out += size
        return left_out

    cdef Sender *_sender(self, const sockaddr_storage *from_, object admission) except NULL:
        cdef unsigned char address[16]
        cdef sa_family_t family = _read_address(from_, address)
        cdef Sender *sender = &self._senders[_hash(address) % PEERS]
        if sender.call == self._call:
            if sender.family == family and not memcmp(sender.address, address, 16):
                return sender
            self._settle(sender)
        gate = admission.gate(_text(family, address))
        sender.records_left, sender.bytes_left = gate.allowance()
        sender.taken_records = sender.taken_bytes = sender.cut_records = sender.cut_bytes = 0
        sender.gate = len(self._gates)
        self._gates.append(gate)
        sender.call, sender.family = self._call, family
        memcpy(sender.address, address, 16)
        return sender

    cdef int _settle(self, Sender *sender) except -1:
        self._gates[sender.gate].settle(
            sender.taken_records, sender.taken_bytes, sender.cut_records, sender.cut_bytes
        )
        sender.call = 0
        return 0

    cdef int settle(self) except -1:
        """End a call: every sender's gate learns what became of what it sent."""
        cdef int number
        if self._gates:
            for number in range(PEERS):
                if self._senders[number].call == self._call:
                    self._settle(&self._senders[number])
            self._gates.clear()
        return 0

    cdef int identify(self, int received, object batch) except -1:
        """Number the senders; Python code runs here, so before the batch is open."""
        cdef int slot
        for slot in range(received):
            if self._messages[slot].msg_len:
                self._peer_ids[slot] = self._peer_id(&self._addresses[slot], batch)
        return 0

    cdef uint16_t _peer_id(self, const sockaddr_storage *from_, object batch) except? 65_535:
        cdef unsigned char address[16]
        cdef sa_family_t family = _read_address(from_, address)
        cdef Peer *peer = &self._peers[_hash(address) % PEERS]
        if peer.call == self._call and peer.family == family and not memcmp(peer.address, address, 16):
            return peer.id
        peer.id = batch.peer_id(_text(family, address))
        peer.call, peer.family = self._call, family
        memcpy(peer.address, address, 16)
        return peer.id

    cdef Py_ssize_t append_to(
        self, OpenBatch *into, int received, Py_ssize_t max_frame_bytes, int64_t received_at
    ) except -1:
        """Append what was received, each datagram as one frame; return how many bytes came."""
        cdef Py_ssize_t received_bytes = 0, size
        cdef unsigned char flags
        cdef const unsigned char *data
        cdef int slot
        for slot in range(received):
            size = self._messages[slot].msg_len
            received_bytes += size
            if size == 0:  # nothing was said
                continue
            data = self._data + slot * SLOT_BYTES
            while size and _is_line_end(data[size - 1]):
                size -= 1
            flags = TRUNCATED if size > max_frame_bytes else 0
            append_frame(into, data, min(size, max_frame_bytes), received_at, self._peer_ids[slot], flags)
        return received_bytes


cdef inline sa_family_t _read_address(const sockaddr_storage *from_, unsigned char *address) noexcept:
    """Write a sender's address, and zeros behind a short one; return its kind."""
    memset(address, 0, 16)
    if from_.ss_family == AF_INET:
        memcpy(address, &(<const sockaddr_in *> from_).sin_addr, 4)
        return AF_INET
    memcpy(address, &(<const sockaddr_in6 *> from_).sin6_addr, 16)
    if memcmp(address, MAPPED_IPV4, 12):
        return from_.ss_family
    memcpy(address, address + 12, 4)
    memset(address + 4, 0, 12)
    return AF_INET


cdef str _text(sa_family_t family, const unsigned char *address):
    cdef char text[INET6_ADDRSTRLEN]
    if inet_ntop(family, address, text, INET6_ADDRSTRLEN) == NULL:
        PyErr_SetFromErrno(OSError)
    return (<bytes> text).decode("ascii")


cdef inline bint _is_line_end(unsigned char byte) noexcept:
    return byte == c"\n" or byte == c"\r" or byte == c"\0"


cdef inline uint32_t _hash(const unsigned char *address) noexcept:
    """Spread addresses over the remembered ones: neighbours in one network must not meet."""
    cdef uint32_t parts[4]
    memcpy(parts, address, 16)
    return ((parts[0] ^ parts[1] ^ parts[2] ^ parts[3]) * <uint32_t> 2_654_435_761) >> 24


cdef unsigned int _room(object batch, Py_ssize_t limit, Py_ssize_t max_frame_bytes):
    """Return how many datagrams the batch takes for certain: it can't be full before the last of them."""
    cdef Py_ssize_t rows = batch.max_rows - len(batch.ends)
    cdef Py_ssize_t nbytes = batch.max_bytes - len(batch.data)
    if rows <= 0 or nbytes <= 0:
        return 0
    return min(SLOTS, limit, rows, 1 + (nbytes - 1) // max(1, min(max_frame_bytes, <Py_ssize_t> SLOT_BYTES)))


# Slots that nobody is using: one thread at a time takes them, as many as there were threads at once.
cdef list _idle = []


def receive_datagrams(
    sock, batch, *, uint32_t max_frame_bytes, int64_t received_at, Py_ssize_t limit, admission=None
):
    """Read the datagrams that are waiting and append each as one frame; see the Python twin."""
    cdef Slots slots = _idle.pop() if _idle else Slots()
    slots.forget_peers()
    try:
        return _receive_datagrams(slots, sock.fileno(), batch, max_frame_bytes, received_at, limit, admission)
    finally:
        slots.settle()
        _idle.append(slots)


cdef tuple _receive_datagrams(
    Slots slots,
    int fd,
    object batch,
    Py_ssize_t max_frame_bytes,
    int64_t received_at,
    Py_ssize_t limit,
    object admission,
):
    cdef OpenBatch into
    cdef Py_ssize_t received_bytes = 0
    cdef unsigned int wanted
    cdef int received
    while limit > 0:
        wanted = _room(batch, limit, max_frame_bytes)
        if not wanted:
            return received_bytes, False
        received = slots.fill(fd, wanted)
        if received < 0:
            limit -= 1
            continue
        if admission is not None:
            received_bytes += slots.admit(received, admission)
        slots.identify(received, batch)
        open_batch(&into, batch)
        try:
            received_bytes += slots.append_to(&into, received, max_frame_bytes, received_at)
        finally:
            close_batch(&into)
        if <unsigned int> received < wanted:
            return received_bytes, True
        limit -= received
    return received_bytes, False
