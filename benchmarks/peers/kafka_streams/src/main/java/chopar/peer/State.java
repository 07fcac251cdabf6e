package chopar.peer;

import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;

/** A user's state: the sequence that is due, and the events that came before their predecessors. */
final class State {
  long due = 1;
  final TreeMap<Long, byte[]> waiting = new TreeMap<>();

  static State read(byte[] bytes) {
    State state = new State();
    if (bytes != null) {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      state.due = buffer.getLong();
      while (buffer.hasRemaining()) {
        long sequence = buffer.getLong();
        byte[] event = new byte[buffer.getInt()];
        buffer.get(event);
        state.waiting.put(sequence, event);
      }
    }
    return state;
  }

  byte[] write() {
    int size = Long.BYTES;
    for (byte[] event : waiting.values()) {
      size += Long.BYTES + Integer.BYTES + event.length;
    }
    ByteBuffer buffer = ByteBuffer.allocate(size).putLong(due);
    for (Map.Entry<Long, byte[]> held : waiting.entrySet()) {
      buffer.putLong(held.getKey()).putInt(held.getValue().length).put(held.getValue());
    }
    return buffer.array();
  }
}
