// A body of KServe's infer, from the JSON to the answer's: refused by the request's own fault, or
// answered.
#include <cstdint>
#include <string>

#include "server/kserve/infer.h"
#include "server/kserve/infer_json.h"
#include "server/routes/json_body.h"
#include "tests/fuzz/fuzz_server.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  using namespace dyad::testing;
  using Response = absl::StatusOr<inference::ModelInferResponse>;
  const auto body = ReadJsonBody(AsText(data, size));
  if (!IsTaken(body.status())) return 0;
  absl::StatusOr<inference::ModelInferRequest> request = ReadInferJson(*body);
  if (!IsTaken(request.status())) return 0;
  request->set_model_name("text");  // the path says it
  Call call(TheServer().state, {});
  absl::StatusOr<InferPlan> plan = PlanInfer(*request, call);
  if (!IsTaken(plan.status())) return 0;
  static auto& handover = *new Handover<Response>;
  InferAnswer answer(*std::move(plan), call,
                     [](Response response) { handover.Put(std::move(response)); });
  answer.Start();
  const Response response = handover.Take();
  if (IsTaken(response.status())) InferJson(*response).dump();
  return 0;
}
