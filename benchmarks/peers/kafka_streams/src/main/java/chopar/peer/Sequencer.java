package chopar.peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** The rule of benchmarks/peers/rule.py: drop a repeat, restore the user's order, give a position. */
final class Sequencer implements Processor<byte[], byte[], byte[], byte[]> {
  static final String STORE = "users";
  private static final JsonFactory JSON = new JsonFactory();

  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<byte[], byte[]> users;

  @Override
  public void init(ProcessorContext<byte[], byte[]> given) {
    context = given;
    users = given.getStateStore(STORE);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    byte[] event = record.value();
    long sequence = sequence(event);
    State state = State.read(users.get(record.key()));
    if (sequence < state.due || state.waiting.containsKey(sequence)) {
      return;
    }
    if (sequence > state.due) {
      state.waiting.put(sequence, event);
    } else {
      forward(record, event, state.due++);
      while (!state.waiting.isEmpty() && state.waiting.firstKey() == state.due) {
        forward(record, state.waiting.pollFirstEntry().getValue(), state.due++);
      }
    }
    users.put(record.key(), state.write());
  }

  private void forward(Record<byte[], byte[]> record, byte[] event, long position) {
    byte[] added = (",\"position\":" + position + "}").getBytes(StandardCharsets.US_ASCII);
    byte[] out = new byte[event.length - 1 + added.length];
    System.arraycopy(event, 0, out, 0, event.length - 1);
    System.arraycopy(added, 0, out, event.length - 1, added.length);
    context.forward(record.withValue(out));
  }

  /** Reads the whole event, as the others do, and gives its sequence. */
  private static long sequence(byte[] event) {
    try (JsonParser parser = JSON.createParser(event)) {
      long sequence = 0;
      int depth = 0;
      for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
        if (token == JsonToken.START_OBJECT || token == JsonToken.START_ARRAY) {
          depth++;
        } else if (token == JsonToken.END_OBJECT || token == JsonToken.END_ARRAY) {
          depth--;
        } else if (depth == 1 && token == JsonToken.VALUE_STRING && "sequence".equals(parser.currentName())) {
          sequence = Long.parseLong(parser.getText());
        }
      }
      return sequence;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
