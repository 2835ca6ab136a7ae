// dyadctl generate: one continuation, streamed to the terminal; or a batch of them.
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Flags that are fields of GenerateRequest, by the same name.
const struct {
  const char* name;
  FlagHelp help;
} kFieldFlags[] = {
    {"max_new_tokens", {"N", "Tokens to generate at most (server's default: 16)"}},
    {"temperature", {"T", "0 (default) takes the likeliest token; up to 100"}},
    {"top_k", {"K", "Sample from the K likeliest tokens; 0 (default): all"}},
    {"top_p", {"P", "Sample from the fewest tokens that reach P (default 1)"}},
    {"min_p", {"P", "Drop tokens below P times the likeliest (default 0)"}},
    {"repetition_penalty", {"X", "Above 1 discourages tokens seen before"}},
    {"presence_penalty", {"X", "-2 to 2, subtracted once per generated token"}},
    {"frequency_penalty", {"X", "-2 to 2, subtracted for every occurrence"}},
    {"logit_bias", {"JSON", R"(Added to logits: {"ID": BIAS, ...})"}},
    {"seed", {"N", "Same seed, same text (default: drawn by the server)"}},
    {"n", {"N", "Choices, 1 (default) to 16"}},
    {"logprobs", {"N", "Log-probabilities with N competitors; for --json"}},
    {"special_tokens", {"MODE", "PARSE (default) or LITERAL: \"</s>\" in the text"}},
};

class Generate final : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    for (const auto& [name, help] : kFieldFlags) AddField(app, fields_, name, help);
    AddSwitchField(app, fields_, "ignore_eos", "Go on after the end-of-text token");
    AddSwitchField(app, fields_, "echo", "Put the prompt in front of the answer");
    app.add_option("--stop", stop_, "End before this text; may be repeated")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    app.add_option("--stop_ids", stop_ids_, "End with one of these tokens: 2,50")->type_name("IDS");
    AddTextFlag(app);
    app.add_option("--ids", ids_, "Prompt as token ids: 2,50,713")->type_name("IDS");
    BatchCommand::AddFlags(app);
  }

 protected:
  absl::Status Start() override {
    if (!stop_.empty()) fields_["stop"] = stop_;
    if (stop_ids_.has_value()) {
      ASSIGN_OR_RETURN(fields_["stop_ids"], IdList("--stop_ids", *stop_ids_));
    }
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const v1::GenerateRequest request, GenerateRequestFromJson(line));
    ASSIGN_OR_RETURN(const v1::GenerateResponse response, client_->Generate(request));
    return GenerateAnswer(response);
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    const std::vector<std::string> texts = Texts();
    if (texts.size() > 1) {
      return absl::InvalidArgumentError("generate takes one text; put it in quotes");
    }
    // As if it were a line of a batch: one way to read options, not two.
    Json line = fields_;
    if (!texts.empty()) line["text"] = texts.front();
    if (ids_.has_value()) {
      ASSIGN_OR_RETURN(line["ids"], IdList("--ids", *ids_));
    }
    ASSIGN_OR_RETURN(const v1::GenerateRequest request, GenerateRequestFromJson(line));
    if (!json_ && request.n() <= 1) return StreamText(request, console);
    ASSIGN_OR_RETURN(const v1::GenerateResponse response, client_->Generate(request));
    if (json_) {
      Json answer = GenerateAnswer(response);
      answer["request_id"] = response.request_id();
      answer["model"] = response.model();
      answer["model_digest"] = response.model_digest();
      console.out << FormatLine(answer) << '\n';
      return 0;
    }
    // Several choices at once would be one muddle on the screen.
    for (const v1::Choice& choice : response.choices()) {
      console.out << "[" << choice.index() << "] " << choice.text() << '\n';
    }
    return 0;
  }

 private:
  // Text as it comes, on `out` alone, so that it can be piped on; how long it took goes to `err`.
  absl::StatusOr<int> StreamText(const v1::GenerateRequest& request, const Console& console) {
    Json ids = Json::array();
    bool has_text = false;
    const auto end = client_->GenerateStream(request, [&](const v1::Choice& piece) {
      for (const int32_t id : piece.ids()) ids.push_back(id);
      has_text = has_text || !piece.text().empty();
      console.out << piece.text() << std::flush;
      return Reader::kGoOn;
    });
    // A model without tokenizer gives ids only.
    if (!has_text && end.ok()) console.out << "ids " << FormatLine(ids);
    console.out << std::endl;
    RETURN_IF_ERROR(end.status());
    const v1::Usage& usage = end->usage();
    console.err << absl::StrFormat(
        "[%d + %d tokens; queued %.1f ms, prefill %.1f ms, decode %.1f ms]\n",
        usage.prompt_tokens(), usage.generated_tokens(), usage.queue_seconds() * 1e3,
        usage.prefill_seconds() * 1e3, usage.decode_seconds() * 1e3);
    return 0;
  }

  std::optional<Client> client_;
  std::vector<std::string> stop_;
  std::optional<std::string> stop_ids_, ids_;
};

}  // namespace

std::unique_ptr<Command> GenerateCommand() {
  return std::make_unique<Generate>(CommandHelp{
      .name = "generate",
      .usage = "TEXT | --ids=IDS | --input=FILE [--output=FILE]",
      .summary = "Continue a text, streamed to the terminal",
      .text = "A line of --input has \"text\" or \"ids\" and any of the options below by the same\n"
              "name; its answer has \"ids\" (the new ones, end of text included), \"text\",\n"
              "\"finish_reason\" (LENGTH, EOS, STOP) and \"seed\"; with n above 1 \"choices\" of "
              "these.\n"});
}

}  // namespace dyad::client
