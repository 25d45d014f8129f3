import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import com.networknt.schema.ValidationMessage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes events: makes the borrower's token, checks against the JSON Schema, sends once and in order.
 *
 * <p>java Producer CLIENT.properties schemas/json TOPIC EVENTS.jsonl: prints where each record stands. An event's subject is the
 * customer's number; it leaves this program as a token. The key is read from EWS_TOKEN_KEYS (VERSION:HEX, the newest first).
 */
public final class Producer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonSchemaFactory SCHEMAS = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);

    private final Map<String, JsonSchema> schemas = new HashMap<>();
    private final Path directory;

    Producer(Path directory) {
        this.directory = directory;
    }

    /** The same person gives the same token in every system that has the key; without it nobody finds the way back. */
    static String token(String key, String kind, String naturalId) throws Exception {
        String[] parts = key.split(",")[0].trim().split(":");
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(HexFormat.of().parseHex(parts[1]), "HmacSHA256"));
        String natural = Normalizer.normalize(naturalId.strip(), Normalizer.Form.NFC);
        byte[] digest = mac.doFinal((kind + ":" + natural).getBytes(StandardCharsets.UTF_8));
        return kind.charAt(0) + parts[0] + "-" + HexFormat.of().formatHex(digest).substring(0, 32);
    }

    /** What is wrong with an event; empty if it will be read. */
    Set<ValidationMessage> mistakes(JsonNode event) throws IOException {
        String type = event.path("type").asText();
        Path file = directory.resolve(type + ".json");
        if (!type.matches("[a-z_.0-9]+") || !Files.exists(file)) {
            throw new IOException("there is no event type " + type);
        }
        JsonSchema schema = schemas.get(type);
        if (schema == null) {
            schema = SCHEMAS.getSchema(Files.readString(file));
            schemas.put(type, schema);
        }
        return schema.validate(event, context -> context.getExecutionConfig().setFormatAssertionsEnabled(true));
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        try (var reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        Producer events = new Producer(Path.of(arguments[1]));
        String topic = arguments[2];
        String key = System.getenv("EWS_TOKEN_KEYS");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        int refused = 0;
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            for (String line : Files.readAllLines(Path.of(arguments[3]))) {
                ObjectNode event = (ObjectNode) JSON.readTree(line);
                String borrower = token(key, "borrower", event.path("subject").asText());
                event.put("subject", borrower);
                Set<ValidationMessage> mistakes = events.mistakes(event);
                if (!mistakes.isEmpty()) {
                    refused++;
                    System.err.println(event.path("id").asText() + ": " + mistakes.iterator().next().getMessage());
                    continue;
                }
                // The record's key is the subject: the default partitioner is murmur2 of it.
                sent.add(producer.send(new ProducerRecord<>(topic, borrower, JSON.writeValueAsBytes(event))));
            }
            for (Future<RecordMetadata> one : sent) {
                RecordMetadata place = one.get(); // Throws what went wrong: send it again with the same id.
                System.out.println(place.topic() + "/" + place.partition() + "/" + place.offset());
            }
        }
        System.exit(refused == 0 ? 0 : 1);
    }
}
