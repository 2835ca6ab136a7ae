// Channels for tests that call a server over a socket.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace dyad::testing {

// A channel whose connection stands. gRPC 1.51 reads errno some calls after connect(), so that a
// connection that is under way fails now and then, and the first call with it; here it is tried
// again, every 0.1 s to 1 s for 10 s.
inline std::shared_ptr<grpc::Channel> ConnectedChannel(const std::string& address,
                                                       grpc::ChannelArguments arguments = {}) {
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  EXPECT_TRUE(
      channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)))
      << address;
  return channel;
}

}  // namespace dyad::testing
