// dyadctl generate: one continuation, streamed to the terminal; or a batch of them.
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/commands.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Flags that are fields of GenerateRequest, by the same name.
constexpr Flag kFieldFlags[] = {
    {"max_new_tokens", FlagKind::kValue, "N", "Tokens to generate at most (server's default: 16)"},
    {"temperature", FlagKind::kValue, "T", "0 (default) takes the likeliest token; up to 100"},
    {"top_k", FlagKind::kValue, "K", "Sample from the K likeliest tokens; 0 (default): all"},
    {"top_p", FlagKind::kValue, "P", "Sample from the fewest tokens that reach P (default 1)"},
    {"min_p", FlagKind::kValue, "P", "Drop tokens below P times the likeliest (default 0)"},
    {"repetition_penalty", FlagKind::kValue, "X", "Above 1 discourages tokens seen before"},
    {"presence_penalty", FlagKind::kValue, "X", "-2 to 2, subtracted once per generated token"},
    {"frequency_penalty", FlagKind::kValue, "X", "-2 to 2, subtracted for every occurrence"},
    {"logit_bias", FlagKind::kValue, "JSON", R"(Added to logits: {"ID": BIAS, ...})"},
    {"seed", FlagKind::kValue, "N", "Same seed, same text (default: drawn by the server)"},
    {"n", FlagKind::kValue, "N", "Choices, 1 (default) to 16"},
    {"logprobs", FlagKind::kValue, "N", "Log-probabilities with N competitors; for --json"},
    {"special_tokens", FlagKind::kValue, "MODE",
     "PARSE (default) or LITERAL: \"</s>\" in the text"},
    {"ignore_eos", FlagKind::kSwitch, "", "Go on after the end-of-text token"},
    {"echo", FlagKind::kSwitch, "", "Put the prompt in front of the answer"},
};

// The fields that flags give; they hold for every line of a batch that does not say otherwise.
absl::StatusOr<Json> FieldDefaults(const Arguments& arguments) {
  std::vector<absl::string_view> names = {"model"};
  for (const Flag& flag : kFieldFlags) names.push_back(flag.name);
  Json fields = FieldsFrom(arguments, names);
  if (arguments.Has("model")) fields["model"] = arguments.Text("model", "");  // "7" is a name too
  if (arguments.Has("stop")) fields["stop"] = arguments.All("stop");
  if (arguments.Has("stop_ids")) {
    ASSIGN_OR_RETURN(fields["stop_ids"], IdList("--stop_ids", arguments.Text("stop_ids", "")));
  }
  return fields;
}

// The prompt of the command line as if it were a line of a batch: one way to read options, not two.
absl::StatusOr<v1::GenerateRequest> OneRequest(const Arguments& arguments) {
  ASSIGN_OR_RETURN(Json line, FieldDefaults(arguments));
  const std::vector<std::string> texts = Texts(arguments);
  if (texts.size() > 1) {
    return absl::InvalidArgumentError("generate takes one text; put it in quotes");
  }
  if (!texts.empty()) line["text"] = texts.front();
  if (arguments.Has("ids")) {
    ASSIGN_OR_RETURN(line["ids"], IdList("--ids", arguments.Text("ids", "")));
  }
  return GenerateRequestFromJson(line);
}

absl::StatusOr<int> PrintJson(const Client& client, const v1::GenerateRequest& request,
                              const Console& console) {
  ASSIGN_OR_RETURN(const v1::GenerateResponse response, client.Generate(request));
  Json answer = GenerateAnswer(response);
  answer["request_id"] = response.request_id();
  answer["model"] = response.model();
  answer["model_digest"] = response.model_digest();
  console.out << FormatLine(answer) << '\n';
  return 0;
}

// Several choices would be one muddle on the screen, so they come one after another at the end.
absl::StatusOr<int> PrintChoices(const Client& client, const v1::GenerateRequest& request,
                                 const Console& console) {
  ASSIGN_OR_RETURN(const v1::GenerateResponse response, client.Generate(request));
  for (const v1::Choice& choice : response.choices()) {
    console.out << "[" << choice.index() << "] " << choice.text() << '\n';
  }
  return 0;
}

// Text as it comes, on `out` alone, so that it can be piped on; how long it took goes to `err`.
absl::StatusOr<int> StreamText(const Client& client, const v1::GenerateRequest& request,
                               const Console& console) {
  Json ids = Json::array();
  bool has_text = false;
  const auto end = client.GenerateStream(request, [&](const v1::Choice& piece) {
    for (const int32_t id : piece.ids()) ids.push_back(id);
    has_text = has_text || !piece.text().empty();
    console.out << piece.text() << std::flush;
    return Reader::kGoOn;
  });
  if (!has_text && end.ok()) console.out << "ids " << FormatLine(ids);  // a model without tokenizer
  console.out << std::endl;
  RETURN_IF_ERROR(end.status());
  const v1::Usage& usage = end->usage();
  console.err << absl::StrFormat(
      "[%d + %d tokens; queued %.1f ms, prefill %.1f ms, decode %.1f ms]\n", usage.prompt_tokens(),
      usage.generated_tokens(), usage.queue_seconds() * 1e3, usage.prefill_seconds() * 1e3,
      usage.decode_seconds() * 1e3);
  return 0;
}

absl::StatusOr<int> RunBatchOfPrompts(const Arguments& arguments, const Client& client,
                                      const Console& console) {
  ASSIGN_OR_RETURN(const BatchOptions options, BatchFrom(arguments));
  ASSIGN_OR_RETURN(const Json defaults, FieldDefaults(arguments));
  ASSIGN_OR_RETURN(const BatchResult result,
                   RunBatch(options, console, [&](const Json& line) -> absl::StatusOr<Json> {
                     ASSIGN_OR_RETURN(const auto request,
                                      GenerateRequestFromJson(WithDefaults(defaults, line)));
                     ASSIGN_OR_RETURN(const auto response, client.Generate(request));
                     return GenerateAnswer(response);
                   }));
  return ReportBatch(result, console);
}

absl::StatusOr<int> RunGenerate(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(const Client client, ClientFrom(arguments));
  if (IsBatch(arguments)) return RunBatchOfPrompts(arguments, client, console);
  ASSIGN_OR_RETURN(const v1::GenerateRequest request, OneRequest(arguments));
  if (arguments.On("json")) return PrintJson(client, request, console);
  if (request.n() > 1) return PrintChoices(client, request, console);
  return StreamText(client, request, console);
}

}  // namespace

Command GenerateCommand() {
  std::vector<Flag> flags(std::begin(kFieldFlags), std::end(kFieldFlags));
  flags.push_back({"text", FlagKind::kRepeated, "TEXT", "Prompt, for one that begins with --"});
  flags.push_back({"stop", FlagKind::kRepeated, "TEXT", "End before this text; may be repeated"});
  flags.push_back({"stop_ids", FlagKind::kValue, "IDS", "End with one of these tokens: 2,50"});
  flags.push_back({"ids", FlagKind::kValue, "IDS", "Prompt as token ids: 2,50,713"});
  return {.name = "generate",
          .usage = "TEXT | --ids=IDS | --input=FILE [--output=FILE]",
          .summary = "Continue a text, streamed to the terminal",
          .text =
              "A line of --input has \"text\" or \"ids\" and any of the options below by the same\n"
              "name; its answer has \"ids\" (the new ones, end of text included), \"text\",\n"
              "\"finish_reason\" (LENGTH, EOS, STOP) and \"seed\"; with n above 1 \"choices\" of "
              "these.\n",
          .flags = std::move(flags),
          .takes_batches = true,
          .run = &RunGenerate};
}

}  // namespace dyad::client
