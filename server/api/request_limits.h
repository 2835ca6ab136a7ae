// Bounds on requests and answers. All are options of the server.
#pragma once

#include <cstdint>

namespace dyad {

struct RequestLimits {
  int64_t max_prompt_bytes = 1 << 20;  // of one text
  int32_t max_choices = 16;
  int32_t max_score_items = 1024;
  // Pairs of one ScoreMinimalPairs stream in flight.
  int32_t max_stream_pairs = 256;
  // Of one message, in bytes. A larger answer is refused before it is computed.
  int32_t max_receive_message_bytes = 16 << 20;
  int32_t max_send_message_bytes = 64 << 20;
  // Of answers that wait to be read, of all calls; a quarter of it for each connection.
  int64_t max_unread_bytes = 256 << 20;
};

}  // namespace dyad
