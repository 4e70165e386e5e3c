import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.CodeSystem;
import org.hl7.fhir.r4.model.CodeSystem.CodeSystemContentMode;
import org.hl7.fhir.r4.model.ValueSet;
import org.hl7.fhir.r4.model.ValueSet.ConceptSetComponent;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.JsonParser;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.model.CanonicalType;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;

/**
 * The HAPI FHIR validator as a process: one JSON request a line in, one JSON answer a line out.
 *
 * <p>Arguments: folders of StructureDefinition, ValueSet and CodeSystem files (JSON) to hold besides R4 itself.
 * Requests: {"op": "validate", "resource": ...} and {"op": "bench", "resource": ..., "iterations": n}, where
 * `resource` is the resource, or its JSON text as a string where every character of it matters. It asks no
 * terminology server and opens no connection.
 */
public class Validate {
  private static final Set<String> HELD = Set.of("StructureDefinition", "ValueSet", "CodeSystem");

  /** Allowed all unknown extensions, it would allow all unknown modifier extensions too. */
  private static final String UNKNOWN_BUT_ALLOWED = "https://example.org/fhir/";

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .setNodeFactory(JsonNodeFactory.withExactBigDecimals(true));

  private final FhirValidator validator;

  public static void main(String[] folders) throws IOException {
    Locale.setDefault(Locale.ENGLISH);
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err); // whatever a library prints is not an answer
    Validate one = new Validate(folders);
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(one.answer(line));
    }
  }

  private Validate(String[] folders) throws IOException {
    FhirContext context = FhirContext.forR4();
    UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(context);
    unknown.setNonExistentCodeSystemSeverity(IssueSeverity.WARNING);
    R4 r4 = new R4(context);
    ValidationSupportChain held =
        new ValidationSupportChain(
            definitions(context, r4, folders),
            r4,
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new SnapshotGeneratingValidationSupport(context),
            unknown);
    FhirInstanceValidator instances = new FhirInstanceValidator(held);
    instances.setAnyExtensionsAllowed(false);
    instances.setCustomExtensionDomains(UNKNOWN_BUT_ALLOWED);
    instances.setErrorForUnknownProfiles(false);
    instances.setValidatorPolicyAdvisor(new ByType());
    instances.setValidatorResourceFetcher(new TargetsAreWhatTheySay());
    validator = context.newValidator().registerValidatorModule(instances);
  }

  private static PrePopulatedValidationSupport definitions(FhirContext context, R4 r4, String[] folders)
      throws IOException {
    PrePopulatedValidationSupport held = new PrePopulatedValidationSupport(context);
    for (String folder : folders) {
      try (Stream<Path> files = Files.list(Path.of(folder))) {
        for (Path file : files.filter(each -> each.toString().endsWith(".json")).sorted().toList()) {
          String text = Files.readString(file);
          if (HELD.contains(JSON.readTree(text).path("resourceType").asText())) {
            held.addResource(context.newJsonParser().parseResource(text));
          }
        }
      }
    }
    for (IBaseResource each : held.fetchAllConformanceResources()) {
      if (each instanceof ValueSet valueSet) {
        for (ConceptSetComponent included : valueSet.getCompose().getInclude()) {
          withoutFiltersNobodyCanApply(included, held, r4);
        }
      }
    }
    return held;
  }

  /**
   * A filter over a code system that is not held fails every code of it. Without the filter, the code system is
   * only unknown, and the validator warns that it cannot tell.
   */
  private static void withoutFiltersNobodyCanApply(ConceptSetComponent included, IValidationSupport... held) {
    String system = included.getSystem();
    boolean known = Stream.of(held).anyMatch(each -> system != null && each.fetchCodeSystem(system) != null);
    if (!known) {
      included.getFilter().clear();
    }
  }

  /** R4's own definitions, without its code systems that have no codes: those are as unknown as any other. */
  private static class R4 extends DefaultProfileValidationSupport {
    private R4(FhirContext context) {
      super(context);
    }

    @Override
    public IBaseResource fetchCodeSystem(String url) {
      IBaseResource found = super.fetchCodeSystem(url);
      return found instanceof CodeSystem held && held.getContent() == CodeSystemContentMode.NOTPRESENT ? null : found;
    }
  }

  private JsonNode answer(String line) throws JsonProcessingException {
    JsonNode request = JSON.readTree(line);
    JsonNode resource = request.path("resource");
    String text = resource.isTextual() ? resource.textValue() : JSON.writeValueAsString(resource);
    return switch (request.path("op").asText()) {
      case "validate" -> verdict(text);
      case "bench" -> bench(text, request.path("iterations").asInt(200));
      default -> JSON.createObjectNode().put("error", "op is validate or bench");
    };
  }

  private ObjectNode verdict(String text) {
    ObjectNode answer = JSON.createObjectNode();
    List<SingleValidationMessage> messages;
    long start = System.nanoTime();
    try {
      messages = validator.validateWithResult(text).getMessages();
    } catch (RuntimeException failure) {
      // Its own failure on an input: no verdict, and the caller must say what it makes of that.
      Throwable cause = failure;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      return answer.put("error", failure.getMessage() + ": " + cause.getMessage());
    }
    answer.put("us", (System.nanoTime() - start) / 1000);
    boolean valid = true;
    for (SingleValidationMessage each : messages) {
      String severity = each.getSeverity() == null ? "information" : each.getSeverity().getCode();
      valid &= !severity.equals("error") && !severity.equals("fatal");
      answer
          .withArrayProperty("messages")
          .addObject()
          .put("severity", severity)
          .put("location", each.getLocationString())
          .put("id", each.getMessageId())
          .put("message", each.getMessage());
    }
    answer.withArrayProperty("messages");
    return answer.put("valid", valid);
  }

  /** Half as many runs again to warm up, then the median of `iterations` runs, each timed alone. */
  private ObjectNode bench(String text, int iterations) {
    for (int run = 0; run < iterations / 2; run++) {
      validator.validateWithResult(text);
    }
    long[] took = new long[iterations];
    for (int run = 0; run < iterations; run++) {
      long start = System.nanoTime();
      validator.validateWithResult(text);
      took[run] = System.nanoTime() - start;
    }
    Arrays.sort(took);
    return JSON.createObjectNode().put("median_us", took[iterations / 2] / 1000.0).put("iterations", iterations);
  }

  /**
   * Whatever a reference names exists and is of the type it says, with nothing else known of it. Without this the
   * validator looks at the type of a target only where the target itself is at hand.
   */
  private static class TargetsAreWhatTheySay implements IValidatorResourceFetcher {
    private static final Pattern TYPED =
        Pattern.compile("(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/.+)?");

    /** The type that a reference names; null where it names none. */
    private static String type(String url) {
      Matcher typed = TYPED.matcher(url);
      return typed.matches() ? typed.group(1) : null;
    }

    private static boolean exists(IResourceValidator validator, String type) {
      return validator.getContext().getResourceNames().contains(type);
    }

    @Override
    public Element fetch(IResourceValidator validator, Object context, String url) throws IOException {
      String type = type(url);
      if (type == null || !exists(validator, type)) {
        return null;
      }
      String target = "{\"resourceType\": \"%s\", \"id\": \"target\"}".formatted(type);
      InputStream text = new ByteArrayInputStream(target.getBytes(StandardCharsets.UTF_8));
      return new JsonParser(validator.getContext()).parse(text).get(0).getElement();
    }

    @Override
    public boolean resolveURL(
        IResourceValidator validator, Object context, String path, String url, String type, boolean canonical,
        List<CanonicalType> targets) {
      return true;
    }

    @Override
    public byte[] fetchRaw(IResourceValidator validator, String url) {
      return null;
    }

    @Override
    public IValidatorResourceFetcher setLocale(Locale locale) {
      return this;
    }

    @Override
    public CanonicalResource fetchCanonicalResource(IResourceValidator validator, Object context, String url) {
      return null;
    }

    @Override
    public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
      return false;
    }

    @Override
    public Set<ResourceVersionInformation> fetchCanonicalResourceVersions(
        IResourceValidator validator, Object context, String url) {
      return Set.of();
    }
  }

  private static class ByType extends FhirDefaultPolicyAdvisor {
    @Override
    public ReferenceValidationPolicy policyForReference(
        IResourceValidator validator, Object context, String path, String url, ReferenceDestinationType destination) {
      String type = TargetsAreWhatTheySay.type(url);
      return type == null || TargetsAreWhatTheySay.exists(validator, type)
          ? ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS
          : ReferenceValidationPolicy.CHECK_EXISTS; // a type that R4 does not have: nothing can be there
    }
  }
}
