/* The Java driver of Cassandra's, for bench/cassandra.py: the same rows into the same table.
 *
 *     CassandraDriverBench FILE ROWS ROWS_IN_FLIGHT WARM_UP_TIMES
 *
 * The file's events (JSON lines) are read and their features computed first; then all rows are written WARM_UP_TIMES times, so
 * that Java has compiled what is used. READY is printed, and a line on standard input waited for: meanwhile the table can
 * be emptied. Then the rows are written once more, and seconds and CPU seconds of that alone (the whole process, with its
 * collector and compiler) are printed as a line of JSON. A row that could not be written ends the program with 1.
 *
 * Writing: one prepared INSERT, executeAsync from one thread; a semaphore bounds how many are in flight, and whoever completes
 * a request gives its place back. Where: CASSANDRA_HOST, CASSANDRA_PORT, CASSANDRA_KEYSPACE, CASSANDRA_LOCAL_DC.
 */

import com.datastax.driver.core.BoundStatement;
import com.datastax.driver.core.Cluster;
import com.datastax.driver.core.ConsistencyLevel;
import com.datastax.driver.core.PreparedStatement;
import com.datastax.driver.core.ProtocolVersion;
import com.datastax.driver.core.QueryOptions;
import com.datastax.driver.core.ResultSetFuture;
import com.datastax.driver.core.Session;
import com.datastax.driver.core.SocketOptions;
import com.datastax.driver.core.policies.DCAwareRoundRobinPolicy;
import com.datastax.driver.core.policies.TokenAwarePolicy;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;

public final class CassandraDriverBench {
    static final String INSERT = "insert into bench_events"
            + " (id, timestamp, amount_usd, country_code, amount_taxed, total, tier, kind_upper)"
            + " values (?, ?, ?, ?, ?, ?, ?, ?) using timestamp ?";
    static final int TIMEOUT_MS = 60_000;
    static final JsonFactory JSON = new JsonFactory();

    /** A feature row; its write timestamp is the event's second, in microseconds, as Freshet has it. */
    record Row(long id, Date at, double amount, String country, double taxed, double total, String tier, String kind,
            long writeTimeUs) {
        static Row of(long id, LocalDateTime at, double amount, String country, String kind, int qty) {
            String tier = amount >= 500 ? "high" : amount >= 100 ? "mid" : "low";
            return new Row(id, Date.from(at.toInstant(ZoneOffset.UTC)), amount, country, amount * 1.12 + 3.5, amount * qty,
                    tier, kind.toUpperCase(Locale.ROOT), at.toEpochSecond(ZoneOffset.UTC) * 1_000_000);
        }

        BoundStatement bind(PreparedStatement insert) {
            return insert.bind().setLong(0, id).setTimestamp(1, at).setDouble(2, amount).setString(3, country)
                    .setDouble(4, taxed).setDouble(5, total).setString(6, tier).setString(7, kind)
                    .setLong(8, writeTimeUs);
        }
    }

    static Row parse(String line) throws IOException {
        long id = 0;
        int qty = 0;
        double amount = 0;
        String at = "";
        String country = "";
        String kind = "";
        try (JsonParser json = JSON.createParser(line)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String field = json.currentName();
                json.nextToken();
                switch (field) {
                    case "id" -> id = json.getLongValue();
                    case "ts" -> at = json.getText();
                    case "amount" -> amount = json.getDoubleValue();
                    case "country" -> country = json.getText();
                    case "kind" -> kind = json.getText();
                    case "qty" -> qty = json.getIntValue();
                    default -> json.skipChildren();
                }
            }
        }
        return Row.of(id, LocalDateTime.parse(at), amount, country, kind, qty);
    }

    static List<Row> rowsOf(Path path, int most) throws IOException {
        List<Row> rows = new ArrayList<>(most);
        try (BufferedReader file = Files.newBufferedReader(path, StandardCharsets.US_ASCII)) {
            for (String line = file.readLine(); line != null && rows.size() < most; line = file.readLine()) {
                rows.add(parse(line));
            }
        }
        return rows;
    }

    static Cluster connect() {
        return Cluster.builder()
                .addContactPoint(System.getenv("CASSANDRA_HOST"))
                .withPort(Integer.parseInt(System.getenv("CASSANDRA_PORT")))
                .withProtocolVersion(ProtocolVersion.V4)
                .withLoadBalancingPolicy(new TokenAwarePolicy(DCAwareRoundRobinPolicy.builder()
                        .withLocalDc(System.getenv("CASSANDRA_LOCAL_DC")).build()))
                .withQueryOptions(new QueryOptions().setConsistencyLevel(ConsistencyLevel.LOCAL_QUORUM))
                .withSocketOptions(new SocketOptions().setReadTimeoutMillis(TIMEOUT_MS))
                .withoutMetrics()
                .build();
    }

    /** Returns once all rows are acknowledged; throws the first failure. */
    static void write(Session session, PreparedStatement insert, List<Row> rows, int inFlight)
            throws InterruptedException {
        Semaphore places = new Semaphore(inFlight);
        AtomicReference<RuntimeException> failure = new AtomicReference<>();
        for (Row row : rows) {
            places.acquire();
            ResultSetFuture answer = session.executeAsync(row.bind(insert));
            answer.addListener(() -> {
                try {
                    answer.getUninterruptibly();
                } catch (RuntimeException problem) {
                    failure.compareAndSet(null, problem);
                } finally {
                    places.release();
                }
            }, Runnable::run);
        }
        places.acquire(inFlight);
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    static double cpuSeconds() {
        return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime() / 1e9;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 4) {
            System.err.println("usage: CassandraDriverBench FILE ROWS ROWS_IN_FLIGHT WARM_UP_TIMES");
            System.exit(2);
        }
        List<Row> rows = rowsOf(Path.of(arguments[0]), Integer.parseInt(arguments[1]));
        int inFlight = Integer.parseInt(arguments[2]);
        try (Cluster cluster = connect()) {
            Session session = cluster.connect(System.getenv("CASSANDRA_KEYSPACE"));
            PreparedStatement insert = session.prepare(INSERT);
            for (int time = Integer.parseInt(arguments[3]); time > 0; time--) {
                write(session, insert, rows, inFlight);
            }
            System.out.println("READY");
            if (new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII)).readLine() == null) {
                throw new IOException("standard input ended before a line said to begin");
            }
            double cpuBefore = cpuSeconds();
            long began = System.nanoTime();
            write(session, insert, rows, inFlight);
            double workS = (System.nanoTime() - began) / 1e9;
            System.out.printf(Locale.ROOT, "{\"rows\": %d, \"work_s\": %.6f, \"cpu_s\": %.6f}%n", rows.size(), workS,
                    cpuSeconds() - cpuBefore);
            System.out.flush();
            Runtime.getRuntime().halt(0); // an orderly end waits for two seconds, in which the node's CPU would be counted
        }
    }
}
