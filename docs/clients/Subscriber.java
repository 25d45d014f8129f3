import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads alerts: committed ones only, each acted on once, in the order of its episode.
 *
 * <p>java Subscriber CLIENT.properties TOPIC SECONDS: prints what is news, until nothing has come for so many seconds.
 */
public final class Subscriber {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Yours to keep in a database, in the transaction of what you do with an alert. */
    private final Map<String, Integer> revisions = new HashMap<>();

    /** Neither seen before nor overtaken by a later revision, and meant to be acted on. */
    boolean isNews(JsonNode alert) {
        JsonNode data = alert.path("data");
        int known = revisions.getOrDefault(data.path("episode_id").asText(), 0);
        return data.path("mode").asText().equals("live") && data.path("revision").asInt() > known;
    }

    void act(JsonNode alert) {
        JsonNode data = alert.path("data");
        System.out.println(String.join(" ", alert.path("id").asText(), data.path("status").asText(), data.path("detector").asText()));
        revisions.put(data.path("episode_id").asText(), data.path("revision").asInt());
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        try (var reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        Subscriber inbox = new Subscriber();
        long patience = Duration.ofSeconds(Long.parseLong(arguments[2])).toNanos();
        long ends = Long.MAX_VALUE;
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(arguments[1]));
            while (System.nanoTime() < ends) {
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    JsonNode alert = JSON.readTree(record.value());
                    if (inbox.isNews(alert)) {
                        inbox.act(alert);
                    }
                    ends = System.nanoTime() + patience;
                }
                consumer.commitSync(); // After it was acted on: a crash repeats an alert, and isNews drops it.
            }
        }
    }
}
