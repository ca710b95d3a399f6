/* The job of windows.yaml on Kafka Streams, by its Processor API, which is its fastest way.
 *
 *     KafkaStreamsBench BROKERS TOPIC STORE EVENTS [LATENCIES]
 *
 * STORE is `memory` (nothing is durable), `memory-changelog` (in memory, and each change in a topic: durable) or
 * `rocksdb-changelog` (Kafka Streams' own default). EVENTS is how many there are; after these the program prints its
 * result as a line of JSON and ends. READY comes before it, when the partitions are assigned.
 *
 * The job: of each key the events of the last 180 s (event time) are kept, in arrival order. For an event, the kept
 * events of the 120 s up to it are counted, and their amounts averaged; the key's row becomes the event with these
 * two, unless the row has a later time already. The result: how many keys there are, and the sums of counts and of
 * averages over all rows. Borders are those of milliseconds and of arrival, as expected.sql has them.
 *
 * With LATENCIES, a file, it gets a line for each event, in the order of processing: microseconds from the event's
 * `ts` until its row was in the store.
 */

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

public final class KafkaStreamsBench {
    static final String STORE = "latest";
    static final long WINDOW_MS = 120_000;
    static final long KEPT_MS = 180_000;

    /** One message. */
    static final class Event {
        long id;
        long timeUs;
        double amount;
        String country;
        String kind;
        int qty;

        long timeMs() {
            return timeUs / 1000;
        }
    }

    /** Reads events, field by field. */
    static final class EventSerde implements Serde<Event> {
        private static final JsonFactory JSON = new JsonFactory();

        @Override
        public Serializer<Event> serializer() {
            return (topic, event) -> {
                throw new UnsupportedOperationException("events are read only");
            };
        }

        @Override
        public Deserializer<Event> deserializer() {
            return (topic, bytes) -> bytes == null ? null : parse(bytes);
        }

        private static Event parse(byte[] bytes) {
            try (JsonParser json = JSON.createParser(bytes)) {
                Event event = new Event();
                json.nextToken();
                while (json.nextToken() == JsonToken.FIELD_NAME) {
                    String field = json.currentName();
                    json.nextToken();
                    switch (field) {
                        case "id" -> event.id = json.getLongValue();
                        case "ts" -> event.timeUs = microseconds(json.getText());
                        case "amount" -> event.amount = json.getDoubleValue();
                        case "country" -> event.country = json.getText();
                        case "kind" -> event.kind = json.getText();
                        case "qty" -> event.qty = json.getIntValue();
                        default -> json.skipChildren();
                    }
                }
                return event;
            } catch (IOException problem) {
                throw new UncheckedIOException(problem);
            }
        }

        /** Since 1970, of 2024-05-01T12:00:00.123, by hand: java.time takes several times as long. */
        private static long microseconds(String text) {
            int year = number(text, 0, 4);
            int month = number(text, 5, 7);
            int fromMarch = month > 2 ? month - 3 : month + 9;
            int y = month > 2 ? year : year - 1;
            int era = y / 400;
            int yearOfEra = y % 400;
            int dayOfYear = (153 * fromMarch + 2) / 5 + number(text, 8, 10) - 1;
            long days = era * 146_097L + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
            long minutes = (days * 24 + number(text, 11, 13)) * 60 + number(text, 14, 16);
            long fraction = 0;
            for (int at = 20; at < 26; at++) {
                fraction = fraction * 10 + (at < text.length() ? text.charAt(at) - '0' : 0);
            }
            return (minutes * 60 + number(text, 17, 19)) * 1_000_000 + fraction;
        }

        private static int number(String text, int from, int to) {
            int value = 0;
            for (int at = from; at < to; at++) {
                value = value * 10 + text.charAt(at) - '0';
            }
            return value;
        }
    }

    /** Stream time is that of the events. */
    public static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return ((Event) record.value()).timeMs();
        }
    }

    /** What is known of one key: its row, and the events kept. */
    static final class KeyState {
        long newestMs = Long.MIN_VALUE;

        long rowMs = Long.MIN_VALUE;
        double amount;
        String country = "";
        String kind = "";
        int qty;
        long count;
        double average;

        int kept;
        long[] times = new long[8];
        double[] amounts = new double[8];

        void add(Event event) {
            long time = event.timeMs();
            newestMs = Math.max(newestMs, time);
            forget(newestMs - KEPT_MS);
            keep(time, event.amount);
            if (time < rowMs) {
                return;
            }
            rowMs = time;
            amount = event.amount;
            country = event.country;
            kind = event.kind;
            qty = event.qty;
            computeWindow(time);
        }

        private void forget(long beforeMs) {
            int left = 0;
            for (int i = 0; i < kept; i++) {
                if (times[i] >= beforeMs) {
                    times[left] = times[i];
                    amounts[left++] = amounts[i];
                }
            }
            kept = left;
        }

        private void keep(long time, double value) {
            if (kept == times.length) {
                times = Arrays.copyOf(times, kept * 2);
                amounts = Arrays.copyOf(amounts, kept * 2);
            }
            times[kept] = time;
            amounts[kept++] = value;
        }

        private void computeWindow(long time) {
            double sum = 0;
            count = 0;
            for (int i = 0; i < kept; i++) {
                if (times[i] >= time - WINDOW_MS && times[i] <= time) {
                    count++;
                    sum += amounts[i];
                }
            }
            average = sum / count;
        }
    }

    /** The state as bytes, as stores and changelogs want it. */
    static final class KeyStateSerde implements Serde<KeyState>, Serializer<KeyState>, Deserializer<KeyState> {
        @Override
        public Serializer<KeyState> serializer() {
            return this;
        }

        @Override
        public Deserializer<KeyState> deserializer() {
            return this;
        }

        @Override
        public void configure(java.util.Map<String, ?> configuration, boolean isKey) {}

        @Override
        public void close() {}

        @Override
        public byte[] serialize(String topic, KeyState state) {
            if (state == null) {
                return null;
            }
            byte[] country = state.country.getBytes(StandardCharsets.UTF_8);
            byte[] kind = state.kind.getBytes(StandardCharsets.UTF_8);
            ByteBuffer bytes = ByteBuffer.allocate(50 + country.length + kind.length + 16 * state.kept);
            bytes.putLong(state.newestMs).putLong(state.rowMs).putLong(state.count);
            bytes.putDouble(state.amount).putDouble(state.average).putInt(state.qty);
            bytes.put((byte) country.length).put(country).put((byte) kind.length).put(kind).putInt(state.kept);
            for (int i = 0; i < state.kept; i++) {
                bytes.putLong(state.times[i]).putDouble(state.amounts[i]);
            }
            return bytes.array();
        }

        @Override
        public KeyState deserialize(String topic, byte[] from) {
            if (from == null) {
                return null;
            }
            ByteBuffer bytes = ByteBuffer.wrap(from);
            KeyState state = new KeyState();
            state.newestMs = bytes.getLong();
            state.rowMs = bytes.getLong();
            state.count = bytes.getLong();
            state.amount = bytes.getDouble();
            state.average = bytes.getDouble();
            state.qty = bytes.getInt();
            state.country = text(bytes);
            state.kind = text(bytes);
            state.kept = bytes.getInt();
            state.times = new long[Math.max(8, state.kept + 2)];
            state.amounts = new double[state.times.length];
            for (int i = 0; i < state.kept; i++) {
                state.times[i] = bytes.getLong();
                state.amounts[i] = bytes.getDouble();
            }
            return state;
        }

        private static String text(ByteBuffer bytes) {
            byte[] text = new byte[bytes.get()];
            bytes.get(text);
            return new String(text, StandardCharsets.UTF_8);
        }
    }

    /** How far the processors are, two threads of them. */
    static final class Progress {
        final int events;
        final int[] latenciesUs; // null: not asked for
        final AtomicInteger done = new AtomicInteger();
        volatile long firstNs;

        Progress(int events, boolean withLatencies) {
            this.events = events;
            this.latenciesUs = withLatencies ? new int[events] : null;
        }

        void processed(Event event) {
            int number = done.getAndIncrement();
            if (number == 0) {
                firstNs = System.nanoTime();
            }
            if (latenciesUs != null && number < events) {
                Instant now = Instant.now();
                latenciesUs[number] = (int) (now.getEpochSecond() * 1_000_000 + now.getNano() / 1000 - event.timeUs);
            }
        }
    }

    /** The job itself. */
    static final class Latest implements Processor<String, Event, Void, Void> {
        private final Progress progress;
        private KeyValueStore<String, KeyState> store;

        Latest(Progress progress) {
            this.progress = progress;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, Event> record) {
            KeyState state = store.get(record.key());
            if (state == null) {
                state = new KeyState();
            }
            state.add(record.value());
            store.put(record.key(), state);
            progress.processed(record.value());
        }
    }

    static Properties configuration(String brokers, String name) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/" + name);
        properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        properties.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, EventTime.class);
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        return properties;
    }

    static Topology topology(String topic, String kind, Progress progress) {
        boolean changelog = kind.endsWith("-changelog");
        boolean rocksdb = kind.startsWith("rocksdb");
        StoreBuilder<KeyValueStore<String, KeyState>> store = Stores.keyValueStoreBuilder(
                rocksdb ? Stores.persistentKeyValueStore(STORE) : Stores.inMemoryKeyValueStore(STORE),
                Serdes.String(), new KeyStateSerde());
        store = changelog ? store.withCachingEnabled() : store.withLoggingDisabled();
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(store);
        builder.stream(topic, Consumed.with(Serdes.String(), new EventSerde()))
                .process(() -> new Latest(progress), STORE);
        return builder.build();
    }

    static void waitForEnd(KafkaStreams streams, Progress progress) throws InterruptedException {
        boolean told = false;
        while (progress.done.get() < progress.events) {
            KafkaStreams.State state = streams.state();
            if (state == KafkaStreams.State.RUNNING && !told) {
                System.out.println("READY");
                told = true;
            }
            if (state.hasCompletedShutdown()) {
                System.err.println("Kafka Streams has ended: " + state);
                Runtime.getRuntime().halt(1);
            }
            Thread.sleep(5);
        }
    }

    static String check(KafkaStreams streams) {
        long keys = 0;
        long count = 0;
        double average = 0;
        long times = 0;
        try (KeyValueIterator<String, KeyState> all = streams.store(StoreQueryParameters.fromNameAndType(
                STORE, QueryableStoreTypes.<String, KeyState>keyValueStore())).all()) {
            while (all.hasNext()) {
                KeyState state = all.next().value;
                keys++;
                count += state.count;
                average += state.average;
                times += state.rowMs * 1000 % 1_000_000_007L;
            }
        }
        return String.format(Locale.ROOT, "\"keys\": %d, \"cnt\": %d, \"avg\": %.6f, \"times\": %d", keys, count, average,
                times);
    }

    static void writeLatencies(String path, int[] latenciesUs) throws IOException {
        try (PrintWriter file = new PrintWriter(path, StandardCharsets.US_ASCII)) {
            for (int latency : latenciesUs) {
                file.println(latency);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 4) {
            System.err.println("usage: KafkaStreamsBench BROKERS TOPIC STORE EVENTS [LATENCIES]");
            System.exit(2);
        }
        long startedMs = ManagementFactory.getRuntimeMXBean().getStartTime();
        String kind = arguments[2];
        Progress progress = new Progress(Integer.parseInt(arguments[3]), arguments.length > 4);
        KafkaStreams streams = new KafkaStreams(topology(arguments[1], kind, progress),
                configuration(arguments[0], "bench-" + kind + "-" + startedMs));
        streams.setUncaughtExceptionHandler(problem -> {
            problem.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        waitForEnd(streams, progress);
        double workS = (System.nanoTime() - progress.firstNs) / 1e9;
        double totalS = (System.currentTimeMillis() - startedMs) / 1e3;
        if (progress.latenciesUs != null) {
            writeLatencies(arguments[4], progress.latenciesUs);
        }
        System.out.printf(Locale.ROOT, "{%s, \"ready_s\": %.3f, \"work_s\": %.3f}%n", check(streams),
                totalS - workS, workS);
        System.out.flush();
        Runtime.getRuntime().halt(0); // an orderly end would write everything once more, and is not measured
    }
}
