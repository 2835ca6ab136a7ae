// kernels/cpu/narrow_rows.h.
#include "kernels/cpu/narrow_rows.h"

#include <algorithm>

#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/integer.h"

namespace dyad::kernels {
namespace {

// Below this many numbers the calling thread is done before another has woken up.
constexpr int64_t kWorthSharing = 1 << 14;

RowForm FormOf(Arithmetic arithmetic) {
  if (IsInteger(arithmetic)) return MultipliesBytes() ? RowForm::kBytes : RowForm::kWords;
  return MultipliesPairs() ? RowForm::kPairs : RowForm::kFloats;
}

}  // namespace

NarrowRows PackNarrowRows(const PackedContraction& contraction, Arithmetic arithmetic,
                          int64_t tokens, ConstRows x, Workspace& workspace) {
  const RowForm form = FormOf(arithmetic);
  const int64_t groups = contraction.groups, rows = tokens * groups;
  const int64_t block_bytes = contraction.is_integer()
                                  ? contraction.quads() * QuadBytes(arithmetic, form)
                                  : contraction.pairs() * PairBytes(form);
  const int64_t stride = (contraction.blocks * block_bytes + 64) / 128 * 128 + 64;
  const int64_t unit_bytes = contraction.is_integer() ? (rows * 4 + 63) / 64 * 64 : 0;
  auto* const memory =
      workspace.scratch.Get<uint8_t>(ScratchUse::kRows, unit_bytes + rows * stride);
  auto* const units = contraction.is_integer() ? reinterpret_cast<float*>(memory) : nullptr;
  uint8_t* const data = memory + unit_bytes;
  const int64_t room =
      contraction.source_width + std::max(contraction.term_depth, contraction.source_width);
  const auto pack = [&](int64_t token, Scratch& scratch) {
    const RowToPack row = {.contraction = &contraction,
                           .arithmetic = arithmetic,
                           .form = form,
                           .x = x.data + token * x.stride,
                           .room = scratch.Get<int32_t>(ScratchUse::kPanel, room),
                           .stride = stride,
                           .to = data + token * groups * stride};
    if (units == nullptr) return PackBfloat16Row(row);
    std::fill_n(units + token * groups, groups, PackIntegerRow(row));
  };
  if (rows * contraction.blocks * contraction.depth() < kWorthSharing ||
      workspace.pool.threads() == 1) {
    for (int64_t token = 0; token < tokens; ++token) pack(token, workspace.scratch);
  } else {
    workspace.pool.Run(tokens, [&](int64_t token, Worker& worker) { pack(token, worker.scratch); });
  }
  return {data, stride, block_bytes, units, arithmetic, form};
}

}  // namespace dyad::kernels
