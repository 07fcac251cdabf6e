# cython: language_level=3, wraparound=False, cdivision=True
"""The compiled twin of `activity/hand.py`: the same decisions, for what is usual without an object for event and state.

An event is read by `_event.h`, a state by `_state.h`; both take only what they understand to the last byte. The rest, and
what seldom happens (a late event, a conflict, a full buffer), is left to `decode` and `order.advance`, as in the twin.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memcpy

from activity import order
from activity.events import log_ending, log_value
from activity.order import Source, State, Waiting

cdef extern from "_state.h":
    ctypedef unsigned char byte
    ctypedef struct text:
        const byte *at
        Py_ssize_t size
    ctypedef struct glance:
        text id
        text source
        text user
        int64_t sequence
    ctypedef struct reader:
        const byte *at
        const byte *end
        int failed
    enum: MOST
    const byte STRING[3]
    const byte BINARY[3]
    const byte ARRAY[3]
    const byte MAP[3]
    bint look(const byte *raw, Py_ssize_t size, glance *found) nogil
    uint32_t crc32_of(const byte *at, Py_ssize_t size) nogil
    int64_t big_endian(reader *source, int size) nogil
    double read_double(reader *source) nogil
    double read_float(reader *source) nogil
    int64_t read_number(reader *source) nogil
    int64_t read_count(reader *source, byte small, byte most, const byte *codes) nogil
    text read_content(reader *source, int64_t size) nogil
    byte *put_big_endian(byte *to, int64_t number, int size) nogil
    byte *put_double(byte *to, double number) nogil
    byte *put_float(byte *to, double number) nogil
    byte *put_number(byte *to, int64_t number) nogil
    byte *put_count(byte *to, int64_t count, byte small, byte most, const byte *codes) nogil
    byte *put_content(byte *to, const void *content, Py_ssize_t size) nogil

cdef enum:
    VERSION = 2  # order.py's
    HEADER = 25
    ROOM = 4096

cdef enum Verdict:
    UNDECIDED  # and nothing has changed
    LOGGED
    DUPLICATE
    WAITS

cdef int64_t EXACT = 2**53  # a double holds whole numbers up to here
cdef Py_ssize_t WINDOW = order.WINDOW
cdef Py_ssize_t MAX_STATE = order.MAX_STATE


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class _Source:
    """What is known of one source, as `order.Source`; `recent` is cut to the window when it is handed on."""

    cdef bytes name
    cdef int64_t due
    cdef bytearray recent
    cdef list waiting

    cdef Py_ssize_t begin(self):
        """Where the window begins in `recent`."""
        return max(0, PyByteArray_GET_SIZE(self.recent) - 4 * WINDOW)


cdef _Source new_source(bytes name, int64_t due, object recent, list waiting):
    cdef _Source source = _Source.__new__(_Source)
    source.name, source.due, source.recent, source.waiting = name, due, bytearray(recent), waiting
    return source


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Hand:
    """As `activity.hand.Hand`."""

    cdef readonly int64_t known
    cdef object _state  # None, or what the fields below say, if they are `_read`
    cdef bint _read
    cdef int64_t _position, _duplicates
    cdef bytes _seen
    cdef list _sources
    cdef _Source _last_source
    cdef object _last  # the record that was decided last; None: `_changed` has its offset
    cdef object _changed
    cdef double _touched

    def __init__(self, state, int64_t known):
        self.known = known
        self._state = state

    @staticmethod
    def opened(bytes value):
        """As `activity.hand.Hand.opened`."""
        cdef Hand hand = Hand.__new__(Hand)
        if value is None:
            hand.known = -1
            hand._seen, hand._sources, hand._read = b"", [], True
        elif not hand._open(value):
            return Hand(order.decode(value), order.peek(value)[0])
        return hand

    # -- states ------------------------------------------------------------------------------------------------------------

    cdef bint _open(self, bytes value) except -1:
        """Read a state's bytes; False: they are not as `order.encode` writes them."""
        cdef reader source
        cdef int64_t count, number
        cdef text name, recent
        cdef list waiting
        source.at = <const byte *>PyBytes_AS_STRING(value)
        source.end = source.at + PyBytes_GET_SIZE(value)
        source.failed = big_endian(&source, 1) != VERSION
        self.known = big_endian(&source, 8)
        read_double(&source)
        read_double(&source)
        source.failed |= big_endian(&source, 1) != 0x94
        self._position = read_number(&source)
        self._sources = []
        for number in range(read_count(&source, 0x80, 15, MAP)):
            name = read_content(&source, read_count(&source, 0xA0, 31, STRING))
            source.failed |= big_endian(&source, 1) != 0x93
            count = read_number(&source)
            recent = read_content(&source, read_count(&source, 0, 0, BINARY))
            waiting = self._waiting(&source)
            if source.failed or recent.size % 4:
                return False
            self._sources.append(new_source((<const char *>name.at)[:name.size], count, (<const char *>recent.at)[:recent.size], waiting))
        name = read_content(&source, read_count(&source, 0, 0, BINARY))
        self._duplicates = read_number(&source)
        if source.failed or source.at != source.end:
            return False
        self._seen = (<const char *>name.at)[:name.size]
        self._read = True
        return True

    cdef list _waiting(self, reader *source):
        cdef int64_t number, sequence
        cdef text check, raw
        cdef double since
        cdef list waiting = []
        for number in range(read_count(source, 0x90, 15, ARRAY)):
            source.failed |= big_endian(source, 1) != 0x94
            sequence = read_number(source)
            check = read_content(source, read_count(source, 0, 0, BINARY))
            since = read_float(source)
            raw = read_content(source, read_count(source, 0, 0, BINARY))
            if source.failed:
                break
            waiting.append(Waiting(sequence, (<const char *>check.at)[:check.size], since, (<const char *>raw.at)[:raw.size]))
        return waiting

    cdef int _read_state(self) except -1:
        """Have the fields say what `_state` says."""
        self._position, self._duplicates, self._seen = self._state.position, self._state.duplicates, self._state.seen
        self._sources = [
            new_source(name.encode(), source.due, source.recent, list(source.waiting)) for name, source in self._state.sources.items()
        ]
        self._last_source = None
        self._read = True
        return 0

    @property
    def state(self):
        """As `activity.hand.Hand.state`."""
        cdef _Source source
        if self._state is None:
            sources = {
                source.name.decode(): Source(source.due, bytes(source.recent[source.begin():]), tuple(source.waiting))
                for source in self._sources
            }
            self._state = State(self._position, sources, self._seen, self._duplicates)
        return self._state

    def encoded(self):
        """As `activity.hand.Hand.encoded`."""
        changed = self._changed if self._last is None else self._last.offset
        if changed is None:
            return None
        if not self._read:
            return order.encode(self._state, changed, self._touched)
        cdef byte room[ROOM]
        cdef byte *begin = room
        cdef Py_ssize_t most = self._most()
        if most > ROOM:
            begin = <byte *>PyMem_Malloc(most)
            if begin == NULL:
                raise MemoryError
        try:
            return PyBytes_FromStringAndSize(<char *>begin, self._write(begin, changed, self._touched) - begin)
        finally:
            if begin != room:
                PyMem_Free(begin)

    cdef Py_ssize_t _most(self) except -1:
        """The most bytes that the state may take as `_write` writes it."""
        cdef _Source source
        cdef Py_ssize_t most = HEADER + 5 * MOST + PyBytes_GET_SIZE(self._seen)
        for source in self._sources:
            most += 5 * MOST + PyBytes_GET_SIZE(source.name) + PyByteArray_GET_SIZE(source.recent)
            for held in source.waiting:
                most += 5 * MOST + len(held.check) + len(held.raw)
        return most

    cdef byte *_write(self, byte *to, int64_t changed, double touched) except NULL:
        cdef _Source source
        cdef double since = INFINITY
        cdef byte *since_at
        cdef bytes content
        to[0] = VERSION
        since_at = put_big_endian(to + 1, changed, 8)
        to = put_double(since_at + 8, touched)
        to[0] = 0x94
        to = put_number(to + 1, self._position)
        to = put_count(to, len(self._sources), 0x80, 15, MAP)
        for source in self._sources:
            to = put_count(to, PyBytes_GET_SIZE(source.name), 0xA0, 31, STRING)
            to = put_content(to, PyBytes_AS_STRING(source.name), PyBytes_GET_SIZE(source.name))
            to[0] = 0x93
            to = put_number(to + 1, source.due)
            size = PyByteArray_GET_SIZE(source.recent) - source.begin()
            to = put_count(to, size, 0, 0, BINARY)
            to = put_content(to, PyByteArray_AS_STRING(source.recent) + source.begin(), size)
            to = put_count(to, len(source.waiting), 0x90, 15, ARRAY)
            for held in source.waiting:
                to[0] = 0x94
                to = put_binary(put_number(to + 1, held.sequence), held.check)
                to = put_binary(put_float(to, held.since), held.raw)
                since = min(since, <double>held.since)
        put_double(since_at, since)
        return put_number(put_binary(to, self._seen), self._duplicates)

    # -- decisions ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def take_all(list records, Py_ssize_t at, dict hands, take_up, list log, dict counts):
        """As `activity.hand.Hand.take_all`."""
        cdef int64_t logged = 0, duplicates = 0, waiting = 0, released = 0
        cdef int64_t stamp = 0, this
        cdef Hand hand
        cdef glance event
        cdef bytes value, ending = None
        cdef Verdict verdict
        while at < len(records):
            record = records[at]
            key, raw = record.key, record.value
            if not PyBytes_CheckExact(key) or not PyBytes_CheckExact(raw) or record.headers:
                break
            value = raw
            if not look(<const byte *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &event) or event.sequence == 0:
                break
            if event.user.size != PyBytes_GET_SIZE(key) or memcmp(event.user.at, PyBytes_AS_STRING(key), event.user.size) != 0:
                break
            hand = hands.get(key)
            if hand is None:
                hand = take_up(key)
                if hand is None:
                    break
            if hand._last is None and hand._changed is None and record.offset <= hand.known:
                break
            this = record.timestamp
            if ending is None or this != stamp:
                if not -EXACT < this < EXACT:
                    break
                stamp = this
                ending = log_ending("logged", stamp / <double>1000)
            verdict = hand._take(&event, key, value, stamp / <double>1000, ending, log, &released)
            if verdict == UNDECIDED:
                break
            hand._last, hand._touched = record, stamp / <double>1000
            logged += verdict == LOGGED
            duplicates += verdict == DUPLICATE
            waiting += verdict == WAITS
            at += 1
        for what, count in (("logged", logged), ("duplicate", duplicates), ("waiting", waiting), ("released", released)):
            if count:
                counts[what] = counts.get(what, 0) + count
        return at

    cdef Verdict _take(
        self, glance *event, bytes user, bytes value, double now, bytes ending, list log, int64_t *released
    ) except? UNDECIDED:
        """What `order.advance` makes of the event, if it comes in turn, has to wait, or came before."""
        cdef byte check[4]
        cdef Verdict verdict = LOGGED
        cdef _Source source
        cdef bint is_new
        if not self._read:
            self._read_state()
        source = self._find(event.source.at, event.source.size)
        is_new = source is None
        if is_new:
            if self._size() + 10 * WINDOW + event.source.size > MAX_STATE:
                return UNDECIDED
            source = new_source((<const char *>event.source.at)[: event.source.size], 1, b"", [])
        put_big_endian(check, crc32_of(event.id.at, event.id.size) or 1, 4)
        if event.sequence == source.due:
            self._position += 1
            log.append((user, with_ending(value, self._position, ending)))
            remember(source, check)
            while source.waiting and source.waiting[0].sequence == source.due:
                self._release(source, user, log)
                released[0] += 1
        elif event.sequence < source.due:
            verdict = self._came_before(source, source.due - event.sequence, check)
        else:
            verdict = self._wait(source, event.sequence, (<const char *>check)[:4], value, now)
        if verdict != UNDECIDED:
            self._state = None
            if is_new:
                self._sources.append(source)
                self._last_source = source
        return verdict

    cdef int _release(self, _Source source, bytes user, list log) except -1:
        """The first that waits is due."""
        cdef object held = source.waiting.pop(0)
        self._position += 1
        log.append((user, log_value(held.raw, self._position, "logged", held.since)))
        source.recent += held.check
        source.due += 1
        return 0

    cdef Verdict _came_before(self, _Source source, int64_t ago, const byte *check) except? UNDECIDED:
        """A repeat, or not for here: what is late, too old, or has another id."""
        if ago > min(WINDOW, PyByteArray_GET_SIZE(source.recent) // 4):
            return UNDECIDED
        if memcmp(PyByteArray_AS_STRING(source.recent) + PyByteArray_GET_SIZE(source.recent) - 4 * ago, check, 4) != 0:
            return UNDECIDED
        self._duplicates += 1
        return DUPLICATE

    cdef Verdict _wait(self, _Source source, int64_t sequence, bytes check, bytes value, double now) except? UNDECIDED:
        """Put it among those that wait, unless it has no room, or its place is taken by another."""
        cdef list waiting = source.waiting
        cdef Py_ssize_t place = len(waiting)
        while place and waiting[place - 1].sequence >= sequence:
            place -= 1
        if place < len(waiting) and waiting[place].sequence == sequence:
            if waiting[place].check != check:
                return UNDECIDED
            self._duplicates += 1
            return DUPLICATE
        if len(waiting) >= WINDOW or self._size() + PyBytes_GET_SIZE(value) + 32 > MAX_STATE:
            return UNDECIDED
        waiting.insert(place, Waiting(sequence, check, now, value))
        return WAITS

    cdef Py_ssize_t _size(self) except -1:
        """Not less than what `order` says that the state has, without what is new."""
        cdef _Source source
        cdef Py_ssize_t size = 64 + PyBytes_GET_SIZE(self._seen)
        for source in self._sources:
            size += 4 * PyBytes_GET_SIZE(source.name) + 6 * WINDOW
            for held in source.waiting:
                size += len(held.raw) + 32
        return size

    cdef _Source _find(self, const byte *name, Py_ssize_t size):
        """The source of this name; None: there is none."""
        cdef _Source source = self._last_source
        if source is not None and is_named(source, name, size):
            return source
        for source in self._sources:
            if is_named(source, name, size):
                self._last_source = source
                return source
        return None

    def in_turn(self, event):
        """As `activity.hand.Hand.in_turn`."""
        cdef bytes name
        cdef byte check[4]
        cdef _Source source
        if event.sequence is None:
            return 0
        if not self._read:
            self._read_state()
        name = event.source.encode()
        source = self._find(<const byte *>PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        if source is None or source.waiting or event.sequence != source.due:
            return 0
        put_big_endian(check, order.check_of(event.id), 4)
        remember(source, check)
        self._position += 1
        self._state = None
        return self._position

    # -- what was decided elsewhere ----------------------------------------------------------------------------------------

    def put(self, state):
        """As `activity.hand.Hand.put`."""
        self._state = state
        self._read = False

    def touch(self, offset, double at):
        """As `activity.hand.Hand.touch`."""
        self._changed, self._touched, self._last = offset, at, None

    @property
    def changed(self):
        """As `activity.hand.Hand.changed`."""
        return self._changed if self._last is None else self._last.offset

    @property
    def touched(self):
        """As `activity.hand.Hand.touched`."""
        return self._touched


cdef inline bint is_named(_Source source, const byte *name, Py_ssize_t size):
    return PyBytes_GET_SIZE(source.name) == size and memcmp(PyBytes_AS_STRING(source.name), name, size) == 0


cdef int remember(_Source source, const byte *check) except -1:
    """The one that was due has come."""
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(source.recent)
    PyByteArray_Resize(source.recent, size + 4)
    memcpy(PyByteArray_AS_STRING(source.recent) + size, check, 4)
    source.due += 1
    return 0


cdef bytes with_ending(bytes raw, int64_t position, bytes ending):
    """As `events.with_ending`, of an event whose last byte is its closing brace."""
    cdef byte digits[20]
    cdef Py_ssize_t at = 20, size = PyBytes_GET_SIZE(raw) - 1, most = PyBytes_GET_SIZE(ending)
    cdef bytes value
    cdef byte *to
    while position or at == 20:
        at -= 1
        digits[at] = 48 + position % 10
        position //= 10
    value = PyBytes_FromStringAndSize(NULL, size + 12 + 20 - at + most)
    to = put_content(<byte *>PyBytes_AS_STRING(value), PyBytes_AS_STRING(raw), size)
    to = put_content(to, <const char *>b',"position":', 12)
    to = put_content(to, digits + at, 20 - at)
    put_content(to, PyBytes_AS_STRING(ending), most)
    return value


cdef byte *put_binary(byte *to, bytes content) except NULL:
    to = put_count(to, PyBytes_GET_SIZE(content), 0, 0, BINARY)
    return put_content(to, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
