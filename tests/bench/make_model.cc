// Random checkpoints: tests/bench/make_model.h.
#include "tests/bench/make_model.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace dyad::bench {
namespace {

using nlohmann::json;

struct ModelSize {
  const char* architecture;
  const char* name;
  int64_t layers, hidden, heads;
  int64_t embed;     // of the token embedding; OPT-350m projects it
  bool norm_before;  // OPT-350m normalises after each block
};

// Widths as published; the feed-forward layers are 4 · hidden.
constexpr ModelSize kSizes[] = {
    {"opt", "125m", 12, 768, 12, 768, true},      {"opt", "350m", 24, 1024, 16, 512, false},
    {"opt", "1.3b", 24, 2048, 32, 2048, true},    {"gpt_neox", "70m", 6, 512, 8, 512, true},
    {"gpt_neox", "160m", 12, 768, 12, 768, true}, {"gpt_neox", "410m", 24, 1024, 16, 1024, true}};
constexpr int64_t kOptVocabulary = 50272, kOptPositions = 2048;
constexpr int64_t kNeoxVocabulary = 50304, kNeoxPositions = 2048;

enum class Fill { kRandom, kOnes, kZeros };

struct TensorPlan {
  std::string name;
  std::vector<int64_t> shape;
  Fill fill;
  int64_t elements() const {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    return count;
  }
};

class Plan {
 public:
  Plan(const ModelSize& size, const ModelChoice& choice) : size_(size), choice_(choice) {
    size_.architecture == std::string("opt") ? PlanOpt() : PlanNeox();
  }
  const std::vector<TensorPlan>& tensors() const { return tensors_; }

 private:
  void Add(std::string name, std::vector<int64_t> shape, Fill fill = Fill::kRandom) {
    tensors_.push_back({std::move(name), std::move(shape), fill});
  }
  void AddNorm(const std::string& path) {
    Add(path + ".weight", {size_.hidden}, Fill::kOnes);
    Add(path + ".bias", {size_.hidden}, Fill::kZeros);
  }
  void AddDense(const std::string& path, int64_t in, int64_t out) {
    Add(path + ".weight", {out, in});
    Add(path + ".bias", {out});
  }
  void AddStructured(const std::string& path, int64_t in, int64_t out) {
    for (const auto& [leaf, shape] : choice_.structure->Example({in, out}, choice_.detail)) {
      Add(absl::StrCat(path, ".", std::string(leaf)), shape);
    }
    Add(path + ".bias", {out});
  }

  void PlanOpt() {
    const int64_t hidden = size_.hidden;
    Add("model.decoder.embed_tokens.weight", {kOptVocabulary, size_.embed});
    Add("model.decoder.embed_positions.weight", {kOptPositions + 2, hidden});
    if (size_.embed != hidden) {
      Add("model.decoder.project_in.weight", {hidden, size_.embed});
      Add("model.decoder.project_out.weight", {size_.embed, hidden});
    }
    for (int64_t i = 0; i < size_.layers; ++i) {
      const std::string path = absl::StrCat("model.decoder.layers.", i, ".");
      for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        AddDense(absl::StrCat(path, "self_attn.", name), hidden, hidden);
      }
      AddNorm(path + "self_attn_layer_norm");
      AddNorm(path + "final_layer_norm");
      AddStructured(path + "fc1", hidden, 4 * hidden);
      AddStructured(path + "fc2", 4 * hidden, hidden);
    }
    if (size_.norm_before) AddNorm("model.decoder.final_layer_norm");
  }

  void PlanNeox() {
    const int64_t hidden = size_.hidden;
    Add("gpt_neox.embed_in.weight", {kNeoxVocabulary, hidden});
    Add("embed_out.weight", {kNeoxVocabulary, hidden});
    for (int64_t i = 0; i < size_.layers; ++i) {
      const std::string path = absl::StrCat("gpt_neox.layers.", i, ".");
      AddNorm(path + "input_layernorm");
      AddNorm(path + "post_attention_layernorm");
      AddDense(path + "attention.query_key_value", hidden, 3 * hidden);
      AddDense(path + "attention.dense", hidden, hidden);
      AddStructured(path + "mlp.dense_h_to_4h", hidden, 4 * hidden);
      AddStructured(path + "mlp.dense_4h_to_h", 4 * hidden, hidden);
    }
    AddNorm("gpt_neox.final_layer_norm");
  }

  const ModelSize& size_;
  const ModelChoice& choice_;
  std::vector<TensorPlan> tensors_;
};

json Config(const ModelSize& size, const ModelChoice& choice) {
  json config = {{"hidden_size", size.hidden},
                 {"num_hidden_layers", size.layers},
                 {"num_attention_heads", size.heads},
                 {"bos_token_id", 2},
                 {"eos_token_id", 2}};
  if (size.architecture == std::string("opt")) {
    config.update({{"model_type", "opt"},
                   {"vocab_size", kOptVocabulary},
                   {"max_position_embeddings", kOptPositions},
                   {"ffn_dim", 4 * size.hidden},
                   {"word_embed_proj_dim", size.embed},
                   {"do_layer_norm_before", size.norm_before}});
  } else {
    config.update({{"model_type", "gpt_neox"},
                   {"vocab_size", kNeoxVocabulary},
                   {"max_position_embeddings", kNeoxPositions},
                   {"intermediate_size", 4 * size.hidden},
                   {"rotary_pct", 0.25},
                   {"tie_word_embeddings", false}});
  }
  const std::string option(choice.structure->network_option);
  if (!option.empty()) config[option] = choice.detail;
  return config;
}

// Uniform, with the standard deviation 0.02 of a model's initialisation.
class RandomWeights {
 public:
  void Next(std::vector<float>& values) {
    const float range = 0.02f * std::sqrt(3.0f);
    for (float& value : values) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // a linear congruence
      const auto bits = static_cast<float>(static_cast<int32_t>(state_ >> 32));
      value = range * bits * 0x1p-31f;
    }
  }

 private:
  uint64_t state_ = 1;
};

void WriteWeights(const std::vector<TensorPlan>& tensors, std::ofstream& file) {
  json header = json::object();
  int64_t offset = 0;
  for (const TensorPlan& tensor : tensors) {
    const int64_t end = offset + 4 * tensor.elements();
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors begin aligned
  const uint64_t size = text.size();            // little-endian, as every machine we build for
  file.write(reinterpret_cast<const char*>(&size), sizeof(size));
  file.write(text.data(), static_cast<std::streamsize>(size));
  RandomWeights random;
  std::vector<float> values;
  for (const TensorPlan& tensor : tensors) {
    values.assign(static_cast<size_t>(tensor.elements()), tensor.fill == Fill::kOnes ? 1.0f : 0.0f);
    if (tensor.fill == Fill::kRandom) random.Next(values);
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
  }
}

}  // namespace

absl::Status MakeModel(const ModelChoice& choice, const std::string& folder) {
  const ModelSize* size = nullptr;
  std::string known;
  for (const ModelSize& candidate : kSizes) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", candidate.architecture, " ", candidate.name);
    if (choice.architecture == candidate.architecture && choice.size == candidate.name) {
      size = &candidate;
    }
  }
  if (size == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("--arch is '", choice.architecture,
                                                   "' and --size is '", choice.size,
                                                   "'; it must be one of: ", known));
  }
  if (choice.detail < 1 || size->hidden % choice.detail != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--blocks is ", choice.detail, "; it must divide ", size->hidden));
  }
  std::error_code error;
  if (!std::filesystem::create_directory(folder, error)) {
    return absl::AlreadyExistsError(absl::StrCat("cannot make the folder ", folder, ": ",
                                                 error ? error.message() : "it exists"));
  }
  const std::filesystem::path path(folder);
  std::ofstream(path / "config.json") << Config(*size, choice).dump(2) << "\n";
  std::ofstream weights(path / "model.safetensors", std::ios::binary);
  WriteWeights(Plan(*size, choice).tensors(), weights);
  if (!weights.flush()) return absl::UnavailableError(absl::StrCat("cannot write to ", folder));
  return absl::OkStatus();
}

}  // namespace dyad::bench
