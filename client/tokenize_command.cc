// dyadctl tokenize and detokenize: by a server, or offline by a folder's tokenizer.
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/input_digest.h"
#include "client/request_json.h"
#include "client/text_codec.h"
#include "server/base/status_macros.h"
#include "server/text/load_tokenizer.h"
#include "server/text/tokenizer_spec.h"

namespace dyad::client {
namespace {

class CodecCommand : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "tokenizer", "FOLDER", folder_,
            "Work without a server, with this folder's tokenizer files");
    BatchCommand::AddFlags(app);
    for (const char* flag : {"--server", "--model", "--timeout", "--tls_ca", "--tls_cert",
                             "--tls_key", "--api_key_file"}) {
      Excludes(flag, "--tokenizer");
    }
  }

 protected:
  // Connects, or reads the folder.
  absl::Status OpenCodec() {
    if (folder_.has_value()) {
      ASSIGN_OR_RETURN(codec_, OfflineCodec(*folder_));
    } else {
      ASSIGN_OR_RETURN(Client client, MakeClient());
      codec_ = ServerCodec(std::move(client));
    }
    return absl::OkStatus();
  }

  // Another folder with the same files is the same tokenizer; and that of a model in such a folder.
  absl::StatusOr<RunDescription> Describe() const override {
    if (!folder_.has_value()) return BatchCommand::Describe();
    ASSIGN_OR_RETURN(Json fields, HeaderFields());
    ASSIGN_OR_RETURN(const std::vector<std::string> files, TokenizerFiles(*folder_));
    ASSIGN_OR_RETURN(const Json tokenizer, DescribeFolder(*folder_, files));
    fields["model"] = {{"tokenizer_digest", tokenizer["sha256"]}};
    AddOrigin(fields);
    return RunDescription{.header = std::move(fields)};
  }

  TextCodec codec_;

 private:
  std::optional<std::string> folder_;
};

class Tokenize final : public CodecCommand {
 public:
  using CodecCommand::CodecCommand;

  void AddFlags(CLI::App& app) override {
    AddFields(app, fields_,
              {{"add_special_tokens", FieldKind::kSwitch, "",
                "What the tokenizer puts around a text by itself (default true)"},
               {"special_tokens", FieldKind::kJson, "MODE",
                R"(PARSE (default) or LITERAL: "</s>" in the text)"}});
    AddTextFlag(app);
    AddDetailsFlag(app, R"(Add "texts" and "byte_offsets")");
    CodecCommand::AddFlags(app);
  }

 protected:
  absl::Status Start() override {
    RETURN_IF_ERROR(RequestFromFlags<v1::TokenizeRequest>(fields_).status());
    return OpenCodec();
  }

  const std::vector<std::string>& LineOptions() const override { return TokenizeOptions(); }
  Json Defaults() const override { return {{"special_tokens", "PARSE"}}; }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const v1::TokenizeRequest request, TokenizeRequestFromJson(line));
    ASSIGN_OR_RETURN(const v1::TokenizeResponse response, codec_.tokenize(request));
    Json answer = {{"ids", response.ids()}};
    if (details() == Details::kYes) {
      answer["texts"] = response.texts();
      answer["byte_offsets"] = response.byte_offsets();
    }
    return answer;
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    const std::vector<std::string> texts = Texts();
    if (texts.empty()) {
      return UsageError("nothing to tokenize: give a text or --input");
    }
    for (const std::string& text : texts) {
      ASSIGN_OR_RETURN(const Json tokens, Answer(WithDefaults(fields_, {{"text", text}})));
      if (json_) {
        console.out << FormatLine(tokens) << '\n';
      } else {
        console.out << absl::StrJoin(tokens["ids"].get<std::vector<int32_t>>(), " ") << '\n';
      }
      RETURN_IF_ERROR(Flush(console));
    }
    return 0;
  }
};

class Detokenize final : public CodecCommand {
 public:
  using CodecCommand::CodecCommand;

  void AddFlags(CLI::App& app) override {
    AddFields(app, fields_,
              {{"skip_special_tokens", FieldKind::kSwitch, "",
                "Leave special tokens out of the text (default false)"}});
    CodecCommand::AddFlags(app);
  }

 protected:
  absl::Status Start() override {
    RETURN_IF_ERROR(RequestFromFlags<v1::DetokenizeRequest>(fields_).status());
    return OpenCodec();
  }

  const std::vector<std::string>& LineOptions() const override { return DetokenizeOptions(); }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const v1::DetokenizeRequest request, DetokenizeRequestFromJson(line));
    ASSIGN_OR_RETURN(const v1::DetokenizeResponse response, codec_.detokenize(request));
    return Json{{"text", response.text()}};
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    if (words_.empty()) {
      return UsageError("nothing to detokenize: give ids or --input");
    }
    const absl::StatusOr<Json> ids = IdList(absl::StrJoin(words_, " "));
    if (!ids.ok()) return UsageError(std::string(ids.status().message()));
    ASSIGN_OR_RETURN(const Json text, Answer(WithDefaults(fields_, {{"ids", *ids}})));
    console.out << (json_ ? FormatLine(text) : text["text"].get<std::string>()) << '\n';
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> TokenizeCommand() {
  return std::make_unique<Tokenize>(CommandHelp{
      "tokenize", "TEXT... | --input=FILE [--output=FILE]", "Text to token ids",
      R"(A line of --input has "text", optionally "add_special_tokens" (default true) and
"special_tokens" (PARSE or LITERAL); its answer has "ids".
)"});
}

std::unique_ptr<Command> DetokenizeCommand() {
  return std::make_unique<Detokenize>(CommandHelp{
      "detokenize", "IDS... | --input=FILE [--output=FILE]", "Token ids to text",
      R"(A line of --input has "ids", optionally "skip_special_tokens" (default false); its answer
has "text".
)"});
}

}  // namespace dyad::client
