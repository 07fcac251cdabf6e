package chopar.peer;

import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.Stores;

/**
 * The peer on Kafka Streams: its documentation's defaults (RocksDB with a changelog, at least once, the record cache), and larger
 * batches for its producer.
 */
public final class Main {
  public static void main(String[] arguments) throws InterruptedException {
    Topology topology = new Topology();
    topology.addSource("events", System.getenv("BENCH_INPUT"));
    topology.addProcessor("sequencer", Sequencer::new, "events");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(Sequencer.STORE), Serdes.ByteArray(), Serdes.ByteArray())
            .withCachingEnabled(),
        "sequencer");
    topology.addSink("log", System.getenv("BENCH_OUTPUT"), "sequencer");

    KafkaStreams streams = new KafkaStreams(topology, settings());
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close();
                  stopped.countDown();
                }));
    streams.start();
    stopped.await();
  }

  private static Properties settings() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getenv("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("BENCH_KAFKA"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("BENCH_FOLDER"));
    settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, or("BENCH_THREADS", "2"));
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, or("BENCH_COMMIT_MS", "500"));
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.consumerPrefix("max.poll.records"), "4000");
    settings.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), "4194304");
    settings.put(StreamsConfig.producerPrefix("batch.size"), "262144");
    settings.put(StreamsConfig.producerPrefix("linger.ms"), or("BENCH_LINGER_MS", "5"));
    return settings;
  }

  private static String or(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }

  private Main() {}
}
