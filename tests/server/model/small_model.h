// A tiny OPT with random weights on a device: 50 ids, 40 positions, 16 pages, steps of 24 rows.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "kernels/devices.h"
#include "server/model/network_model.h"
#include "server/model/opt.h"
#include "tests/server/model/loading.h"
#include "tests/server/model/random_network.h"
#include "tests/support/status_matchers.h"

namespace dyad::testing {

inline constexpr engine::ModelLimits kSmallLimits = {
    .vocab_size = 50, .context_length = 40, .kv_pages = 16, .max_batch_tokens = 24, .max_draws = 8};

inline std::unique_ptr<NetworkModel> MakeSmallModel(std::unique_ptr<kernels::Device> device) {
  FakeCheckpoint checkpoint;
  NetworkFiller{.checkpoint = checkpoint}.Opt(SmallOpt());
  Loading loading(checkpoint, *device);
  auto network = LoadOpt(SmallOpt(), loading.context);
  EXPECT_OK(network);
  const NetworkShape shape = (*network)->shape();
  EXPECT_EQ(device->MapKv({.shape = shape.attention,
                           .layers = shape.layers,
                           .pages = kSmallLimits.kv_pages,
                           .cos = {},
                           .sin = {}}),
            "");
  return std::make_unique<NetworkModel>(*std::move(network), kSmallLimits,
                                        engine::StepCost{.weight_bytes_per_step = 3},
                                        std::move(device),
                                        std::map<const kernels::Layer*, std::string>());
}

}  // namespace dyad::testing
