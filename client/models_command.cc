// dyadctl models: what the server serves.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/answer_json.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/json_message.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// "parameters 2088, 39.7 % of a dense layer's": a count, and what it is of a dense layer's.
std::string ShareOfDense(const char* what, int64_t count, int64_t of_dense) {
  const double share =
      static_cast<double>(count) / static_cast<double>(std::max<int64_t>(of_dense, 1));
  return absl::StrFormat("%s %d (%.1f %%)", what, count, 100 * share);
}

void PrintDetails(const v1::LinearLayer& layer, const Console& console) {
  const v1::LayerDetails& details = layer.details();
  const auto row = [&](const std::string& text) { console.out << "        " << text << '\n'; };
  row(absl::StrCat(
      "of dense: ", ShareOfDense("parameters", layer.parameters(), details.dense_parameters()),
      ", ", ShareOfDense("bytes", details.weight_bytes(), details.dense_weight_bytes()), ", ",
      ShareOfDense("multiply-adds", details.multiply_adds(), details.dense_multiply_adds())));
  const char* pays = !details.has_pays() ? ""
                     : details.pays()    ? ", which pays"
                                         : ", which costs more than a dense layer";
  row(absl::StrCat("form: ", EnumWord(details.form()), ", ", details.form_reason(), pays));
  for (const std::string& step : details.steps()) row(absl::StrCat("step: ", step));
  for (const v1::SourceTensor& tensor : details.tensors()) {
    row(absl::StrCat("from: ", tensor.name(), " ", tensor.type(), " [",
                     absl::StrJoin(tensor.shape(), ", "), "]"));
  }
  const int left_out = details.tensor_count() - details.tensors_size();
  if (left_out > 0) row(absl::StrCat("from: ", left_out, " tensors more"));
}

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
    if (layer.has_details()) PrintDetails(layer, console);
  }
}

class Models final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddModelFlag(app);
    AddTimeoutFlag(app);
    app.add_flag("--layers", layers_, "Tensors, plan and costs of every linear layer, too");
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    ASSIGN_OR_RETURN(const Client client, MakeClient());
    v1::ListModelsResponse list;
    if (model_.empty()) {
      ASSIGN_OR_RETURN(list, client.ListModels());
    } else {
      list.add_models()->set_name(model_);
    }
    for (v1::Model& model : *list.mutable_models()) {
      if (layers_) {
        ASSIGN_OR_RETURN(model, client.GetDetailedModel(model.name()));
      } else if (!model_.empty()) {
        ASSIGN_OR_RETURN(model, client.GetModel(model_));
      }
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

 private:
  bool layers_ = false;
};

}  // namespace

std::unique_ptr<Command> ModelsCommand() {
  return std::make_unique<Models>(
      CommandHelp{"models", "[--model=NAME] [--layers]",
                  "What the server serves; with --model also every linear layer",
                  "With --json one object per model.\n", WordsAre::kNone});
}

}  // namespace dyad::client
