// dyadctl tokenize and detokenize: by a server, or offline by a folder's tokenizer.
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands.h"
#include "client/request_json.h"
#include "client/text_codec.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

absl::StatusOr<std::unique_ptr<TextCodec>> CodecFrom(const Arguments& arguments) {
  if (arguments.Has("tokenizer")) return OfflineCodec(arguments.Text("tokenizer", ""));
  ASSIGN_OR_RETURN(Client client, ClientFrom(arguments));
  return ServerCodec(std::move(client));
}

Json FieldDefaults(const Arguments& arguments) {
  Json fields =
      FieldsFrom(arguments, {"special_tokens", "add_special_tokens", "skip_special_tokens"});
  if (arguments.Has("model")) fields["model"] = arguments.Text("model", "");
  return fields;
}

absl::StatusOr<Json> TokenizeLine(const TextCodec& codec, const Json& line,
                                  const Arguments& arguments) {
  ASSIGN_OR_RETURN(const v1::TokenizeRequest request, TokenizeRequestFromJson(line));
  ASSIGN_OR_RETURN(const v1::TokenizeResponse response, codec.Tokenize(request));
  Json answer = {{"ids", response.ids()}};
  if (arguments.On("details")) {
    answer["texts"] = response.texts();
    answer["byte_offsets"] = response.byte_offsets();
  }
  return answer;
}

absl::StatusOr<Json> DetokenizeLine(const TextCodec& codec, const Json& line) {
  ASSIGN_OR_RETURN(const v1::DetokenizeRequest request, DetokenizeRequestFromJson(line));
  ASSIGN_OR_RETURN(const v1::DetokenizeResponse response, codec.Detokenize(request));
  return Json{{"text", response.text()}};
}

absl::StatusOr<int> RunTokenize(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(const auto codec, CodecFrom(arguments));
  const Json defaults = FieldDefaults(arguments);
  const auto answer = [&](const Json& line) {
    return TokenizeLine(*codec, WithDefaults(defaults, line), arguments);
  };
  if (IsBatch(arguments)) {
    ASSIGN_OR_RETURN(const BatchOptions options, BatchFrom(arguments));
    ASSIGN_OR_RETURN(const BatchResult result, RunBatch(options, console, answer));
    return ReportBatch(result, console);
  }
  const std::vector<std::string> texts = Texts(arguments);
  if (texts.empty()) {
    return absl::InvalidArgumentError("nothing to tokenize: give a text or --input");
  }
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const Json tokens, answer({{"text", text}}));
    if (arguments.On("json")) {
      console.out << FormatLine(tokens) << '\n';
    } else {
      console.out << absl::StrJoin(tokens["ids"], " ", [](std::string* out, const Json& id) {
        absl::StrAppend(out, id.get<int32_t>());
      }) << '\n';
    }
  }
  return 0;
}

absl::StatusOr<int> RunDetokenize(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(const auto codec, CodecFrom(arguments));
  const Json defaults = FieldDefaults(arguments);
  const auto answer = [&](const Json& line) {
    return DetokenizeLine(*codec, WithDefaults(defaults, line));
  };
  if (IsBatch(arguments)) {
    ASSIGN_OR_RETURN(const BatchOptions options, BatchFrom(arguments));
    ASSIGN_OR_RETURN(const BatchResult result, RunBatch(options, console, answer));
    return ReportBatch(result, console);
  }
  if (arguments.positional().empty()) {
    return absl::InvalidArgumentError("nothing to detokenize: give ids or --input");
  }
  ASSIGN_OR_RETURN(const Json ids,
                   IdList("detokenize", absl::StrJoin(arguments.positional(), " ")));
  ASSIGN_OR_RETURN(const Json text, answer({{"ids", ids}}));
  console.out << (arguments.On("json") ? FormatLine(text) : text["text"].get<std::string>())
              << '\n';
  return 0;
}

constexpr Flag kTokenizerFlag = {"tokenizer", FlagKind::kValue, "FOLDER",
                                 "Work without a server, with this folder's tokenizer files"};

}  // namespace

Command TokenizeCommand() {
  return {
      .name = "tokenize",
      .usage = "TEXT... | --input=FILE [--output=FILE]",
      .summary = "Text to token ids",
      .text =
          "A line of --input has \"text\", optionally \"add_special_tokens\" (default true) and\n"
          "\"special_tokens\" (PARSE or LITERAL); its answer has \"ids\".\n",
      .flags = {kTokenizerFlag,
                {"text", FlagKind::kRepeated, "TEXT", "As TEXT, for one that begins with --"},
                {"add_special_tokens", FlagKind::kSwitch, "",
                 "What the tokenizer puts around a text by itself (default true)"},
                {"special_tokens", FlagKind::kValue, "MODE",
                 "PARSE (default) or LITERAL: \"</s>\" in the text"},
                {"details", FlagKind::kSwitch, "", "Add \"texts\" and \"byte_offsets\""}},
      .takes_batches = true,
      .run = &RunTokenize};
}

Command DetokenizeCommand() {
  return {
      .name = "detokenize",
      .usage = "IDS... | --input=FILE [--output=FILE]",
      .summary = "Token ids to text",
      .text =
          "A line of --input has \"ids\", optionally \"skip_special_tokens\" (default false); its\n"
          "answer has \"text\".\n",
      .flags = {kTokenizerFlag,
                {"skip_special_tokens", FlagKind::kSwitch, "",
                 "Leave special tokens out of the text (default false)"}},
      .takes_batches = true,
      .run = &RunDetokenize};
}

}  // namespace dyad::client
