/* The job of windows.yaml on Flink, by its DataStream API, in a cluster inside this JVM, two slots.
 *
 *     FlinkBench files EVENTS FILE...
 *     FlinkBench kafka EVENTS BROKERS TOPIC CHECKPOINT_MS
 *
 * EVENTS is how many there are; after these the program prints its result as a line of JSON and ends. CHECKPOINT_MS is the time
 * between checkpoints, into the JVM's folder for temporary files; 0 is none.
 *
 * The job is that of KafkaStreamsBench.java: of each key the events of the last 180 s (event time) are kept, in arrival
 * order. For an event, the kept events of the 120 s up to it are counted, and their amounts averaged; the key's row becomes the
 * event with these two, unless the row has a later time already. State is on the heap, which is Flink's fastest.
 *
 * Two readers take the files, so the order of the files is not kept: which events have been forgotten when a late one comes
 * depends on their race. What does not: how many keys there are, and each one's newest time.
 */

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

public final class FlinkBench {
    static final long WINDOW_MS = 120_000;
    static final long KEPT_MS = 180_000;
    static final int SLOTS = 2;

    /** One message. Public, with public fields: then Flink copies it by its fields. */
    public static final class Event {
        public long id;
        public long timeMs;
        public double amount;
        public String country;
        public String kind;
        public int qty;

        public Event() {}
    }

    /** What is known of a key's newest event. */
    public static final class Row {
        public long id;
        public long timeMs;
        public long count;
        public double amount;
        public double average;
        public String country;
        public String kind;
        public int qty;

        public Row() {}
    }

    /** What is kept of one key. */
    public static final class KeyState {
        public long newestMs = Long.MIN_VALUE;
        public long rowMs = Long.MIN_VALUE;
        public int kept;
        public long[] times = new long[8];
        public double[] amounts = new double[8];

        public KeyState() {}

        /** The key's new row, or null where the event is older than the row. */
        Row add(Event event) {
            newestMs = Math.max(newestMs, event.timeMs);
            forget(newestMs - KEPT_MS);
            keep(event.timeMs, event.amount);
            if (event.timeMs < rowMs) {
                return null;
            }
            rowMs = event.timeMs;
            Row row = new Row();
            row.id = event.id;
            row.timeMs = event.timeMs;
            row.amount = event.amount;
            row.country = event.country;
            row.kind = event.kind;
            row.qty = event.qty;
            computeWindow(row);
            return row;
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

        private void computeWindow(Row row) {
            double sum = 0;
            for (int i = 0; i < kept; i++) {
                if (times[i] >= row.timeMs - WINDOW_MS && times[i] <= row.timeMs) {
                    row.count++;
                    sum += amounts[i];
                }
            }
            row.average = sum / row.count;
        }
    }

    private static final JsonFactory JSON = new JsonFactory();

    static Event parse(JsonParser parser) throws IOException {
        try (JsonParser json = parser) {
            Event event = new Event();
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                json.nextToken();
                switch (field) {
                    case "id" -> event.id = json.getLongValue();
                    case "ts" -> event.timeMs = milliseconds(json.getText());
                    case "amount" -> event.amount = json.getDoubleValue();
                    case "country" -> event.country = json.getText();
                    case "kind" -> event.kind = json.getText();
                    case "qty" -> event.qty = json.getIntValue();
                    default -> json.skipChildren();
                }
            }
            return event;
        }
    }

    /** Since 1970, of 2024-05-01T12:00:00.123, by hand: java.time takes several times as long. */
    private static long milliseconds(String text) {
        int year = number(text, 0, 4);
        int month = number(text, 5, 7);
        int fromMarch = month > 2 ? month - 3 : month + 9;
        int y = month > 2 ? year : year - 1;
        int era = y / 400;
        int yearOfEra = y % 400;
        int dayOfYear = (153 * fromMarch + 2) / 5 + number(text, 8, 10) - 1;
        long days = era * 146_097L + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
        long minutes = (days * 24 + number(text, 11, 13)) * 60 + number(text, 14, 16);
        return (minutes * 60 + number(text, 17, 19)) * 1_000 + number(text, 20, 23);
    }

    private static int number(String text, int from, int to) {
        int value = 0;
        for (int at = from; at < to; at++) {
            value = value * 10 + text.charAt(at) - '0';
        }
        return value;
    }

    /** The value of a message, as an event. */
    public static final class EventSchema implements DeserializationSchema<Event> {
        @Override
        public Event deserialize(byte[] message) throws IOException {
            return parse(JSON.createParser(message));
        }

        @Override
        public boolean isEndOfStream(Event event) {
            return false;
        }

        @Override
        public TypeInformation<Event> getProducedType() {
            return TypeInformation.of(Event.class);
        }
    }

    /** The newest row of each key, which anyone in this JVM could ask: the cluster runs here. */
    static final Map<Long, Row> LATEST = new ConcurrentHashMap<>(1 << 18);

    static final AtomicLong DONE = new AtomicLong();
    static volatile long firstNs;

    /** The job itself. */
    public static final class Latest extends KeyedProcessFunction<Long, Event, Row> {
        private transient ValueState<KeyState> state;

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext().getState(new ValueStateDescriptor<>("kept", KeyState.class));
        }

        @Override
        public void processElement(Event event, Context context, Collector<Row> out) throws Exception {
            KeyState kept = state.value();
            if (kept == null) {
                kept = new KeyState();
            }
            Row row = kept.add(event);
            state.update(kept);
            if (row != null) {
                LATEST.put(row.id, row);
            }
            if (DONE.getAndIncrement() == 0) {
                firstNs = System.nanoTime();
            }
        }
    }

    static StreamExecutionEnvironment environment() {
        Configuration configuration = new Configuration();
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("execution.checkpointing.dir", "file://" + System.getProperty("java.io.tmpdir"));
        configuration.setString("taskmanager.memory.managed.size", "64m");
        configuration.setString("taskmanager.memory.network.max", "256m");
        configuration.setString("pipeline.object-reuse", "true");
        return StreamExecutionEnvironment.createLocalEnvironment(SLOTS, configuration);
    }

    static DataStream<Event> files(StreamExecutionEnvironment environment, String[] names) {
        Path[] paths = Arrays.stream(names).map(Path::new).toArray(Path[]::new);
        FileSource<String> source = FileSource.forRecordStreamFormat(new TextLineInputFormat(), paths).build();
        return environment.fromSource(source, WatermarkStrategy.noWatermarks(), "files")
                .map(line -> parse(JSON.createParser(line))).returns(Event.class);
    }

    static DataStream<Event> kafka(StreamExecutionEnvironment environment, String brokers, String topic) {
        KafkaSource<Event> source = KafkaSource.<Event>builder()
                .setBootstrapServers(brokers).setTopics(topic).setGroupId("bench-" + System.nanoTime())
                .setStartingOffsets(OffsetsInitializer.earliest()).setValueOnlyDeserializer(new EventSchema())
                .setProperty("max.poll.records", "10000")
                .setProperty("max.partition.fetch.bytes", "4194304").build();
        return environment.fromSource(source, WatermarkStrategy.noWatermarks(), "kafka");
    }

    static void waitForEnd(JobClient job, long events) throws Exception {
        CompletableFuture<JobExecutionResult> end = job.getJobExecutionResult();
        while (DONE.get() < events) {
            if (end.isDone()) {
                end.get(); // throws what the job failed of
                if (DONE.get() < events) {
                    throw new IllegalStateException("the job ended after " + DONE.get() + " events of " + events);
                }
            }
            Thread.sleep(5);
        }
    }

    static String check() {
        long count = 0;
        double average = 0;
        long times = 0;
        for (Row row : LATEST.values()) {
            count += row.count;
            average += row.average;
            times += row.timeMs * 1000 % 1_000_000_007L;
        }
        return String.format(Locale.ROOT, "\"keys\": %d, \"cnt\": %d, \"avg\": %.6f, \"times\": %d", LATEST.size(), count,
                average, times);
    }

    public static void main(String[] arguments) throws Exception {
        boolean isKafka = arguments.length == 5 && arguments[0].equals("kafka");
        if (!isKafka && (arguments.length < 3 || !arguments[0].equals("files"))) {
            System.err.println("usage: FlinkBench files EVENTS FILE... | kafka EVENTS BROKERS TOPIC CHECKPOINT_MS");
            System.exit(2);
        }
        long startedMs = ManagementFactory.getRuntimeMXBean().getStartTime();
        long events = Long.parseLong(arguments[1]);
        StreamExecutionEnvironment environment = environment();
        DataStream<Event> source;
        if (isKafka) {
            source = kafka(environment, arguments[2], arguments[3]);
            if (!arguments[4].equals("0")) {
                environment.enableCheckpointing(Long.parseLong(arguments[4]));
            }
        } else {
            source = files(environment, Arrays.copyOfRange(arguments, 2, arguments.length));
        }
        source.keyBy(event -> event.id).process(new Latest()).sinkTo(new DiscardingSink<>());
        waitForEnd(environment.executeAsync("bench"), events);
        double workS = (System.nanoTime() - firstNs) / 1e9;
        double totalS = (System.currentTimeMillis() - startedMs) / 1e3;
        System.out.printf(Locale.ROOT, "{%s, \"ready_s\": %.3f, \"work_s\": %.3f}%n", check(), totalS - workS, workS);
        System.out.flush();
        Runtime.getRuntime().halt(0); // the end of a stream that goes on for ever is not measured
    }
}
