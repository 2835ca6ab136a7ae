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

using enum FieldKind;

// Flags of GenerateRequest's fields.
const std::vector<FieldFlag> kFieldFlags = {
    {"max_new_tokens", kJson, "N", "Tokens to generate at most (server's default: 16)"},
    {"temperature", kJson, "T", "0 (default) takes the likeliest token; up to 100"},
    {"top_k", kJson, "K", "Sample from the K likeliest tokens; 0 (default): all"},
    {"top_p", kJson, "P", "Sample from the fewest tokens that reach P (default 1)"},
    {"min_p", kJson, "P", "Drop tokens below P times the likeliest (default 0)"},
    {"repetition_penalty", kJson, "X", "Above 1 discourages tokens seen before"},
    {"presence_penalty", kJson, "X", "-2 to 2, subtracted once per generated token"},
    {"frequency_penalty", kJson, "X", "-2 to 2, subtracted for every occurrence"},
    {"logit_bias", kJson, "JSON", R"(Added to logits: {"ID": BIAS, ...})"},
    {"seed", kJson, "N", "Same seed, same text (default: drawn by the server)"},
    {"n", kJson, "N", "Choices, 1 (default) to 16"},
    {"logprobs", kJson, "N", "Log-probabilities with N competitors; with --json or --input"},
    {"special_tokens", kJson, "MODE", R"(PARSE (default) or LITERAL: "</s>" in the text)"},
    {"add_special_tokens", kJson, "BOOL", "false: without what the tokenizer puts in front"},
    {"stop_ids", kIds, "IDS", "End with one of these tokens: 2,50"},
    {"ignore_eos", kSwitch, "", "Go on after the end-of-text token"},
    {"echo", kSwitch, "", "Put the prompt in front of the answer"},
};

class Generate final : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    AddFields(app, fields_, kFieldFlags);
    AddFlag(app, "stop", "TEXT", stop_, "End before this text; may be repeated");
    AddFields(app, prompt_, {{"ids", kIds, "IDS", "Prompt as token ids: 2,50,713"}});
    AddTextFlag(app);
    BatchCommand::AddFlags(app);
    Excludes("--ids", "--input");
  }

 protected:
  absl::Status Start() override {
    if (!stop_.empty()) fields_["stop"] = stop_;
    RETURN_IF_ERROR(RequestFromFlags<v1::GenerateRequest>(fields_).status());
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  const std::vector<std::string>& LineOptions() const override { return GenerateOptions(); }
  Json Defaults() const override { return {{"special_tokens", "PARSE"}}; }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const v1::GenerateRequest request, GenerateRequestFromJson(line));
    ASSIGN_OR_RETURN(const v1::GenerateResponse response, client_->Generate(request));
    RETURN_IF_ERROR(CheckDigest(response.model(), response.model_digest()));
    return GenerateAnswer(response);
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    const std::vector<std::string> texts = Texts();
    if (texts.size() > 1) {
      return UsageError("generate takes one text; put it in quotes");
    }
    if (texts.empty() && prompt_.empty()) {
      return UsageError("nothing to continue: give a text, --ids or --input");
    }
    if (!texts.empty() && !prompt_.empty()) {
      return UsageError("a text and --ids are both prompts: give one of them");
    }
    if (fields_.contains("logprobs") && !json_) {
      return UsageError("--logprobs shows with --json or --input only");
    }
    // As if it were a line of a batch: one way to read options, not two.
    if (!texts.empty()) prompt_["text"] = texts.front();
    ASSIGN_OR_RETURN(const v1::GenerateRequest request,
                     GenerateRequestFromJson(WithDefaults(fields_, prompt_)));
    if (!json_ && request.n() <= 1) return StreamText(request, console);
    ASSIGN_OR_RETURN(const v1::GenerateResponse response, client_->Generate(request));
    if (json_) {
      Json answer = GenerateAnswer(response);
      answer["request_id"] = response.request_id();
      answer["model"] = response.model();
      answer["model_digest"] = response.model_digest();
      answer["arithmetic"] = response.arithmetic();
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
    absl::Status written;
    const auto end = client_->GenerateStream(request, [&](const v1::Choice& piece) {
      for (const int32_t id : piece.ids()) ids.push_back(id);
      has_text = has_text || !piece.text().empty();
      console.out << piece.text();
      written.Update(Flush(console));
      return written.ok() ? Reader::kGoOn : Reader::kStop;
    });
    RETURN_IF_ERROR(written);
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
  Json prompt_ = Json::object();  // of the command line
};

}  // namespace

std::unique_ptr<Command> GenerateCommand() {
  return std::make_unique<Generate>(CommandHelp{
      "generate", "TEXT | --ids=IDS | --input=FILE [--output=FILE]",
      "Continue a text, streamed to the terminal",
      R"(A line of --input has "text" or "ids" and any of the options below by the same name; its
answer has "ids" (the new ones, end of text included), "text", "finish_reason" (LENGTH, EOS,
STOP), "stop_reason" (the stop string or id, with STOP) and "seed"; with n above 1 "choices" of
these.
)"});
}

}  // namespace dyad::client
