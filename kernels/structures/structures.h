// Families of linear layers. Each is one file here, which says by which tensors it is known, which
// options it has, what shapes must hold, and how it becomes a plan. Formulas stand in those files.
//
// Whoever reads a checkpoint collects the tensors below a layer's path as Leaves, finds the family,
// and compiles: first without data, to check shapes and learn which leaves are read as what, then
// with data. The plan points into the leaves' data until it is packed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/plan.h"
#include "kernels/structures/leaves.h"

namespace dyad::kernels {

enum class Bias { kNone, kPresent, kAsFound };

// What the network around it says of a layer. 0: the tensors decide.
struct LayerSize {
  int64_t in = 0;
  int64_t out = 0;
  Bias bias = Bias::kAsFound;

  bool Fits(int64_t in_found, int64_t out_found) const {
    return (in == 0 || in == in_found) && (out == 0 || out == out_found);
  }
};

struct ExampleLeaf {
  std::string_view leaf;
  std::vector<int64_t> shape;
  LeafUse use = LeafUse::kWeights;  // kSizes: numbers in [0, 1]
};

struct Structure {
  std::string_view kind;                     // as in config.json's `structured_linear`
  std::span<const std::string_view> leaves;  // what messages expect; a bias may stand beside them
  // A key of config.json that is an option of every layer of this kind, a positive whole number.
  std::string_view network_option;
  std::string_view bias = "bias";  // its leaf
  // By leaf names. Two families that match one layer are refused by the caller.
  bool (*Matches)(const Leaves& leaves);
  // Takes leaves and options; writes all of the plan but its type. The plan's bias is zeros, and
  // its weights point nowhere, while leaves have no data.
  Fault (*Compile)(Leaves& leaves, Options& options, LayerSize size, Plan& plan);
  // Shapes of a layer of this kind, for measurements and tests. `detail`: its number of blocks or
  // its rank, which must fit the size; without meaning where there is neither.
  std::vector<ExampleLeaf> (*Example)(LayerSize size, int64_t detail);
};

// All of them, dense first.
std::span<const Structure* const> Structures();
const Structure* FindStructure(std::string_view kind);  // null: unknown
std::string StructureKinds();                           // all, with commas

// Compile, then refuses options that were not taken, and checks the plan.
Fault CompileLayer(const Structure& structure, Leaves& leaves, Options& options, LayerSize size,
                   Plan& plan);

// For the files of this folder: "1 block", "4 blocks".
std::string BlocksText(int64_t blocks);
// The step that multiplies by a factor as it is stored, [outputs, depth] or [blocks, outputs,
// depth]; blocks lie side by side in the source and in the destination.
Contract ProductOf(int source, int destination, const Leaf& factor);
// Takes the bias [out] named `leaf` into the plan, whose widths
// stand. kColumn: [out, 1] will do, too.
enum class BiasShape { kVector, kColumn };
Fault TakeBias(Leaves& leaves, std::string_view leaf, LayerSize size, BiasShape shape, Plan& plan);
// The same of a bias [stored], whose end is dropped or filled with zeros to make it [out].
Fault TakeBiasOf(int64_t stored, Leaves& leaves, std::string_view leaf, LayerSize size, Plan& plan);

}  // namespace dyad::kernels
