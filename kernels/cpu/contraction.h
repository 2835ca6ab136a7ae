// A step of a plan on packed operands (kernels/cpu/operands.h): the micro-kernels.
#pragma once

#include <cstdint>

#include "kernels/cpu/operands.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/epilogue.h"

namespace dyad::kernels {

// Computes the outputs of `panels` for all rows of the job, epilogue included. One thread; several
// may work on disjoint panels of a job. Scratch: kPanel.
void ContractPanels(const ContractionJob& job, PanelRange panels, Scratch& scratch);

// y[t, :] = activation(sum[t, :] + bias) + residual[t, :] over `features` columns, for rows of
// `rows`.
struct FinishJob {
  ConstRows sum;
  Rows y;
  int64_t features = 0;
  const float* bias = nullptr;  // by feature; null: none
  Epilogue epilogue;
};
void FinishRows(const FinishJob& job, RowTile rows);

}  // namespace dyad::kernels
