// dyadctl models: what the server serves.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/json_message.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

void PrintModel(const v1::Model& model, const Console& console) {
  const auto row = [&](const char* name, const std::string& value) {
    console.out << absl::StrFormat("  %-14s %s\n", name, value);
  };
  console.out << model.name() << '\n';
  row("architecture",
      absl::StrCat(model.architecture(), ", ", model.weight_dtype(), " on ", model.device(), ", ",
                   model.arithmetic(), ", ", EnumWord(model.state())));
  row("parameters", absl::StrCat(model.parameters(), " (", model.dense_equivalent_parameters(),
                                 " with dense layers)"));
  row("memory", absl::StrFormat("%.1f MiB weights, %.1f MiB KV cache",
                                static_cast<double>(model.weight_bytes()) / (1 << 20),
                                static_cast<double>(model.kv_cache_bytes()) / (1 << 20)));
  row("context", absl::StrCat(model.context_length(), " tokens, vocabulary ", model.vocab_size()));
  row("tokenizer", model.has_tokenizer() ? "yes" : "no: token ids only");
  row("digest", model.digest());
  for (const v1::LinearLayer& layer : model.layers()) {
    console.out << absl::StrFormat("    %-44s %6d -> %-6d %s\n", layer.name(), layer.in_features(),
                                   layer.out_features(), layer.structure());
  }
}

class Models final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddModelFlag(app);
    AddTimeoutFlag(app);
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    ASSIGN_OR_RETURN(const Client client, MakeClient());
    v1::ListModelsResponse list;
    if (model_.empty()) {
      ASSIGN_OR_RETURN(list, client.ListModels());
    } else {
      ASSIGN_OR_RETURN(*list.add_models(), client.GetModel(model_));
    }
    for (const v1::Model& model : list.models()) {
      if (json_) {
        console.out << FormatLine(ModelAnswer(model)) << '\n';
      } else {
        PrintModel(model, console);
      }
    }
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> ModelsCommand() {
  return std::make_unique<Models>(CommandHelp{
      "models", "[--model=NAME]", "What the server serves; with --model also every linear layer",
      "With --json one object per model.\n", WordsAre::kNone});
}

}  // namespace dyad::client
