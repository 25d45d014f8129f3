import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The reference job on Kafka Streams: the rules of streams/local/reference.py, one state for each borrower in a RocksDB store
 * with a changelog. Arguments: BOOTSTRAP PREFIX PARTITIONS EVENTS GUARANTEE.
 */
public final class ReferenceJob {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String STORE = "borrowers";

    /** An event of the job. Each kind fills its own fields. */
    public static final class Event {
        public String event_id;
        public String borrower_id;
        public double occurred_at;
        public String kind;
        public double amount;
        public double due;
        public double paid;
        public String lender_id;
    }

    /** What the rules keep of a borrower. */
    public static final class State {
        public Map<String, Integer> n = new HashMap<>();
        public Map<Integer, double[]> tx = new HashMap<>();
        public List<double[]> rp = new ArrayList<>();
        public List<Inquiry> bq = new ArrayList<>();
    }

    /** One inquiry of the last days. */
    public static final class Inquiry {
        public int day;
        public String lender;

        public Inquiry() {}

        Inquiry(int day, String lender) {
            this.day = day;
            this.lender = lender;
        }
    }

    static final class Rules {
        private static final int DAY_SECONDS = 86_400;

        private Rules() {}

        static String apply(State state, Event event) {
            int day = (int) Math.floor(event.occurred_at / DAY_SECONDS);
            state.n.merge(event.kind, 1, Integer::sum);
            switch (event.kind) {
                case "transaction":
                    return outflow(state.tx, day, event.amount);
                case "repayment":
                    return paid(state.rp, event.due, event.paid);
                default:
                    return lenders(state.bq, day, event.lender_id);
            }
        }

        private static String outflow(Map<Integer, double[]> days, int day, double amount) {
            if (!days.containsKey(day)) {
                days.keySet().removeIf(known -> known <= day - 30);
                days.put(day, new double[2]);
            }
            days.get(day)[amount < 0 ? 1 : 0] += Math.abs(amount);
            double came = 0;
            double left = 0;
            for (double[] both : days.values()) {
                came += both[0];
                left += both[1];
            }
            return left > 20 * came + 100_000 ? "outflow" : null;
        }

        private static String paid(List<double[]> last, double due, double paid) {
            last.add(new double[] {due, paid});
            if (last.size() > 12) {
                last.remove(0);
            }
            double owed = 0;
            double got = 0;
            for (double[] both : last) {
                owed += both[0];
                got += both[1];
            }
            return last.size() >= 3 && got < 0.7 * owed ? "ratio" : null;
        }

        private static String lenders(List<Inquiry> seen, int day, String lender) {
            seen.add(new Inquiry(day, lender));
            while (seen.get(0).day <= day - 7) {
                seen.remove(0);
            }
            Set<String> distinct = new HashSet<>();
            for (Inquiry known : seen) {
                distinct.add(known.lender);
            }
            return distinct.size() >= 3 ? "multi" : null;
        }
    }

    /** One event: read the state, apply the rules, write the state, forward an alert. */
    static final class Judge implements Processor<String, Event, String, byte[]> {
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, State> states;

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            states = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, Event> record) {
            State state = states.get(record.key());
            if (state == null) {
                state = new State();
            }
            Event event = record.value();
            String rule = Rules.apply(state, event);
            states.put(record.key(), state);
            if (rule != null) {
                context.forward(record.withValue(alert(rule, event.event_id, state.n.get(event.kind))));
            }
            Report.seen();
        }

        private static byte[] alert(String rule, String eventId, int counted) {
            try {
                return JSON.writeValueAsBytes(JSON.createObjectNode().put("alert", rule).put("event", eventId).put("n", counted));
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        }
    }

    /** The two lines that every peer prints: when a fifth of the events is done, and when all are. */
    static final class Report {
        private static long expected;
        private static long seen;

        private Report() {}

        static synchronized void seen() {
            seen++;
            if (seen == expected / 5) {
                say("began");
            }
            if (seen == expected) {
                say("seen");
            }
        }

        private static void say(String what) {
            Instant now = Instant.now();
            long ns = now.getEpochSecond() * 1_000_000_000L + now.getNano();
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            System.out.printf(
                    "{\"what\": \"%s\", \"at_ns\": %d, \"events\": %d, \"cpu_seconds\": %d.%09d}%n",
                    what, ns, seen, system.getProcessCpuTime() / 1_000_000_000L, system.getProcessCpuTime() % 1_000_000_000L);
            System.out.flush();
        }
    }

    private static <T> Serde<T> json(Class<T> type) {
        return Serdes.serdeFrom(
                (topic, value) -> {
                    try {
                        return value == null ? null : JSON.writeValueAsBytes(value);
                    } catch (IOException failed) {
                        throw new UncheckedIOException(failed);
                    }
                },
                (topic, bytes) -> {
                    try {
                        return bytes == null ? null : JSON.readValue(bytes, type);
                    } catch (IOException failed) {
                        throw new UncheckedIOException(failed);
                    }
                });
    }

    public static void main(String[] arguments) throws Exception {
        String prefix = arguments[1];
        Report.expected = Long.parseLong(arguments[3]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "kafka-streams");
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory(Path.of("."), "state").toString());
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");

        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), json(State.class))
                        .withCachingEnabled());
        builder.stream(
                        List.of(prefix + "repayments", prefix + "transactions", prefix + "bureau"),
                        Consumed.with(Serdes.String(), json(Event.class)))
                .process(Judge::new, STORE)
                .to(prefix + "alerts", Produced.with(Serdes.String(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(failed -> {
            failed.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) {
                System.exit(1);
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        while (System.in.read() >= 0) {}
        Runtime.getRuntime().halt(0); // Who started us is gone.
    }
}
