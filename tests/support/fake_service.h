// A DYAD server for tests of the client: the real protos and gRPC on a free loopback port, and
// answers that can be worked out by hand. One byte is one token, a text's ids are its bytes.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "dyad/v1/server.grpc.pb.h"
#include "dyad/v1/tokenizer.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "tests/support/fake_traffic.h"

namespace dyad::testing {

inline grpc::Status CheckModel(const std::string& model) {
  if (model.empty() || model == "fake") return grpc::Status::OK;
  return {grpc::StatusCode::NOT_FOUND, "model is " + model + "; this server has fake"};
}

// Continues a text with itself backwards.
class FakeGeneration final : public v1::GenerationService::Service {
 public:
  explicit FakeGeneration(FakeTraffic& traffic) : traffic_(traffic) {}

  grpc::Status Generate(grpc::ServerContext*, const v1::GenerateRequest* request,
                        v1::GenerateResponse* response) override {
    const FakeCall call(traffic_);
    traffic_.Saw(*request);
    if (!call.status().ok()) return call.status();
    if (grpc::Status model = CheckModel(request->model()); !model.ok()) return model;
    if (request->temperature() > 100) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "temperature: must be 0 to 100"};
    }
    for (int i = 0; i < std::max(1, request->n()); ++i) {
      v1::Choice* choice = response->add_choices();
      choice->set_index(i);
      choice->set_text(Continuation(*request));
      for (const char c : choice->text()) {
        choice->add_ids(static_cast<unsigned char>(c));
        if (!request->has_logprobs()) continue;
        choice->add_logprobs()->set_id(static_cast<unsigned char>(c));
        choice->mutable_logprobs()->rbegin()->set_logprob(-0.1f);
      }
      choice->set_finish_reason(request->ignore_eos() ? v1::FINISH_REASON_LENGTH
                                                      : v1::FINISH_REASON_EOS);
    }
    SetEnd(*request, *response);
    return grpc::Status::OK;
  }

  grpc::Status GenerateStream(grpc::ServerContext* context,
                              const v1::GenerateStreamRequest* streamed,
                              grpc::ServerWriter<v1::GenerateStreamResponse>* writer) override {
    const v1::GenerateRequest& request = streamed->request();
    const FakeCall call(traffic_);
    traffic_.Saw(request);
    if (!call.status().ok()) return call.status();
    int pieces = 0;
    for (const char c : Continuation(request)) {
      if (traffic_.BreaksNow(pieces++)) return {traffic_.faults().code, "broken on purpose"};
      v1::GenerateStreamResponse piece;
      piece.mutable_choice()->add_ids(static_cast<unsigned char>(c));
      piece.mutable_choice()->set_text(std::string(1, c));
      if (context->IsCancelled() || !writer->Write(piece)) return grpc::Status::CANCELLED;
    }
    v1::GenerateStreamResponse last;
    SetEnd(request, *last.mutable_final());
    writer->Write(last);
    return grpc::Status::OK;
  }

 private:
  static std::string Continuation(const v1::GenerateRequest& request) {
    std::string text(request.text().rbegin(), request.text().rend());
    for (const int32_t id : request.ids().ids()) text.insert(text.begin(), static_cast<char>(id));
    return request.has_max_new_tokens() ? text.substr(0, request.max_new_tokens()) : text;
  }
  static void SetEnd(const v1::GenerateRequest& request, v1::GenerateResponse& response) {
    response.set_seed(request.has_seed() ? request.seed() : 18446744073709551615u);
    response.set_request_id("r1");
    response.set_model("fake");
    response.set_model_digest("d1");
    response.set_arithmetic("exact");
  }

  FakeTraffic& traffic_;
};

// log p of a token is -id/10; a text gets the prefix id 2 in front, which is not scored.
class FakeScoring final : public v1::ScoringService::Service {
 public:
  explicit FakeScoring(FakeTraffic& traffic) : traffic_(traffic) {}

  grpc::Status Score(grpc::ServerContext*, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    const FakeCall call(traffic_);
    traffic_.Saw(*request);
    if (!call.status().ok()) return call.status();
    if (grpc::Status model = CheckModel(request->model()); !model.ok()) return model;
    for (const v1::ScoreItem& item : request->items()) {
      if (item.text() == "refused") {
        return {grpc::StatusCode::INVALID_ARGUMENT, "items[0].text: refused on purpose"};
      }
      v1::TextScore& score = *response->add_scores() = ScoreOf(item);
      if (request->has_words()) AddWords(item, score);
      for (const v1::ByteSpan& region : item.regions()) {
        *score.add_regions() = SpanOf(item, score, region.begin(), region.end());
      }
    }
    response->set_convention(request->convention() == v1::CONVENTION_UNSPECIFIED
                                 ? v1::CONVENTION_LM_EVAL
                                 : request->convention());
    return grpc::Status::OK;
  }

  // The sum of a sentence is minus its bytes. A sentence "refused" makes its pair an error.
  grpc::Status ScoreMinimalPairs(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ScoreMinimalPairsResponse, v1::ScoreMinimalPairsRequest>* stream)
      override {
    const FakeCall call(traffic_);
    if (!call.status().ok()) return call.status();
    v1::ScoreMinimalPairsRequest request;
    bool first = true;
    int results = 0;
    std::string model;
    v1::Convention convention = v1::CONVENTION_LM_EVAL;
    while (stream->Read(&request)) {
      if (std::exchange(first, false)) {
        traffic_.Saw(request);
        if (grpc::Status found = CheckModel(request.model()); !found.ok()) return found;
        if (request.convention() != v1::CONVENTION_UNSPECIFIED) convention = request.convention();
        model = "fake";
      }
      v1::ScoreMinimalPairsResponse response;
      response.set_model(std::exchange(model, ""));
      response.set_convention(convention);
      response.set_model_digest("d1");
      std::vector<v1::MinimalPair> pairs(request.pairs().begin(), request.pairs().end());
      traffic_.MaybeShuffle(pairs);
      for (const v1::MinimalPair& pair : pairs) {
        *response.add_results() = Result(pair);
        ++results;
      }
      if (!stream->Write(response)) break;
      if (traffic_.BreaksNow(results)) return {traffic_.faults().code, "stream broken on purpose"};
    }
    return grpc::Status::OK;
  }

 private:
  static v1::TextScore ScoreOf(const v1::ScoreItem& item) {
    v1::TextScore score;
    size_t unscored = 1;
    if (item.content_case() == v1::ScoreItem::kText) {
      score.add_ids(2);
      score.add_texts("</s>");
      unscored += item.context_text().size();
      for (const char c : item.context_text() + item.text()) {
        score.add_ids(static_cast<unsigned char>(c));
        score.add_texts(static_cast<signed char>(c) < 0 ? "\xef\xbf\xbd" : std::string(1, c));
      }
    } else {
      *score.mutable_ids() = item.context_ids().ids();
      score.mutable_ids()->MergeFrom(item.ids().ids());
      if (item.has_context_ids()) unscored = static_cast<size_t>(item.context_ids().ids_size());
    }
    for (int i = 0; i < score.ids_size(); ++i) {
      const bool scored = static_cast<size_t>(i) >= unscored;
      const float logprob = -static_cast<float>(score.ids(i)) / 10.0f;
      score.add_scored(scored);
      score.add_logprobs(scored ? logprob : 0.0f);
      score.add_greedy(scored && score.ids(i) % 2 == 0);
      score.add_ranks(scored ? score.ids(i) : 0);
      score.add_byte_offsets(std::max(0, i - 1));
      if (!scored) continue;
      score.set_sum(score.sum() + logprob);
      score.set_scored_tokens(score.scored_tokens() + 1);
    }
    if (score.scored_tokens() > 0) score.set_mean(score.sum() / score.scored_tokens());
    return score;
  }

  // Runs of bytes between blanks.
  static void AddWords(const v1::ScoreItem& item, v1::TextScore& score) {
    const std::string& text = item.text();
    for (size_t begin = 0; (begin = text.find_first_not_of(" \n", begin)) != text.npos;) {
      const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
      *score.add_words() = SpanOf(item, score, static_cast<int>(begin), static_cast<int>(end));
      begin = end;
    }
  }

  // A span that begins with "-" has no value.
  static v1::SpanScore SpanOf(const v1::ScoreItem& item, const v1::TextScore& score, int begin,
                              int end) {
    v1::SpanScore span;
    span.set_begin(begin);
    span.set_end(end);
    span.set_tokens(end - begin);
    double sum = 0;
    const int first = 1 + static_cast<int>(item.context_text().size());
    for (int i = begin; i < end; ++i) sum += double{score.logprobs(first + i)};
    if (item.text()[static_cast<size_t>(begin)] != '-') span.set_logprob(sum);
    return span;
  }

  static v1::PairScore Result(const v1::MinimalPair& pair) {
    v1::PairScore result;
    result.set_index(pair.index());
    if (pair.good() == "refused" || pair.bad() == "refused") {
      result.mutable_error()->set_code(3);
      result.mutable_error()->set_message("pair refused on purpose");
      return result;
    }
    result.set_good_sum(-static_cast<double>(pair.good().size()) - 0.1);
    result.set_bad_sum(-static_cast<double>(pair.bad().size()) - 0.1);
    result.set_margin(result.good_sum() - result.bad_sum());
    result.set_tie(result.margin() == 0);
    result.set_correct(result.margin() >= 0);
    const auto differ =
        std::mismatch(pair.good().begin(), pair.good().end(), pair.bad().begin(), pair.bad().end());
    if (pair.good() != pair.bad()) {
      result.set_first_difference(static_cast<int>(differ.first - pair.good().begin()) + 1);
    }
    return result;
  }

  FakeTraffic& traffic_;
};

// Ids are bytes; by default 2 in front.
class FakeTokenizer final : public v1::TokenizerService::Service {
 public:
  explicit FakeTokenizer(FakeTraffic& traffic) : traffic_(traffic) {}

  grpc::Status Tokenize(grpc::ServerContext*, const v1::TokenizeRequest* request,
                        v1::TokenizeResponse* response) override {
    const FakeCall call(traffic_);
    traffic_.Saw(*request);
    if (!call.status().ok()) return call.status();
    if (grpc::Status model = CheckModel(request->model()); !model.ok()) return model;
    if (!request->has_add_special_tokens() || request->add_special_tokens()) response->add_ids(2);
    for (const char c : request->text()) response->add_ids(static_cast<unsigned char>(c));
    return grpc::Status::OK;
  }

  grpc::Status Detokenize(grpc::ServerContext*, const v1::DetokenizeRequest* request,
                          v1::DetokenizeResponse* response) override {
    const FakeCall call(traffic_);
    traffic_.Saw(*request);
    if (!call.status().ok()) return call.status();
    if (grpc::Status model = CheckModel(request->model()); !model.ok()) return model;
    for (const int32_t id : request->ids()) {
      if (id == 2 && request->skip_special_tokens()) continue;
      *response->mutable_text() += id == 2 ? "</s>" : std::string(1, static_cast<char>(id));
    }
    return grpc::Status::OK;
  }

 private:
  FakeTraffic& traffic_;
};

class FakeModels final : public v1::ModelService::Service {
 public:
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    *response->add_models() = model;
    for (const v1::Model& other : others) *response->add_models() = other;
    return grpc::Status::OK;
  }
  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override {
    if (grpc::Status found = CheckModel(request->model()); !found.ok()) return found;
    *response->mutable_model() = model;
    response->mutable_model()->set_layer_count(kLayers);
    const int end = request->layer_details() ? std::min(request->first_layer() + 2, kLayers) : 1;
    for (int i = request->first_layer(); i < end; ++i) {
      v1::LinearLayer* layer = response->mutable_model()->add_layers();
      layer->set_name("decoder.layers." + std::to_string(i) + ".fc1");
      layer->set_structure("monarch 4 blocks");
      layer->set_parameters(50);
      if (request->layer_details()) AddDetails(*layer->mutable_details());
    }
    return grpc::Status::OK;
  }

  static constexpr int kLayers = 5;
  static void AddDetails(v1::LayerDetails& details) {
    details.set_kind("monarch");
    details.set_form(v1::LAYER_FORM_PLAN);
    details.set_form_reason("fewer parameters");
    details.add_steps("contract x -> y: 1 -> 2");
    details.set_dense_parameters(100);
    details.set_tensor_count(3);
    v1::SourceTensor* tensor = details.add_tensors();
    tensor->set_name("fc1.blkdiag1");
    tensor->set_type("float16");
    tensor->add_shape(4);
    tensor->add_shape(2);
  }

  FakeModels() {
    model.set_name("fake");
    model.set_architecture("opt");
    model.set_state(v1::MODEL_STATE_READY);
    model.set_digest("d1");
    model.set_tokenizer_digest("t1");
    model.set_weight_dtype("float32");
    model.set_kv_dtype("float32");
    model.set_arithmetic("exact");
    model.set_device("cpu");
    model.set_parameters(5'000'000'000);
    model.set_eos_id(2);
  }

  // May be changed between calls.
  v1::Model model;
  std::deque<v1::Model> others;  // listed, no more
};

class FakeServerInfo final : public v1::ServerService::Service {
 public:
  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    (*response->mutable_limits())["max_receive_message_bytes"] = kMaxMessageBytes;
    return grpc::Status::OK;
  }
  static constexpr int kMaxMessageBytes = 1 << 20;
};

// The server; ready from the start.
class FakeServer {
 public:
  FakeServer() : generation_(traffic), scoring_(traffic), tokenizer_(traffic) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{
             &generation_, &scoring_, &tokenizer_, &models_, &info_}) {
      builder.RegisterService(service);
    }
    builder.SetMaxReceiveMessageSize(FakeServerInfo::kMaxMessageBytes);
    server_ = builder.BuildAndStart();
    SetReady(true);
  }
  ~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void SetReady(bool ready) {
    server_->GetHealthCheckService()->SetServingStatus("readiness", ready);
  }

  v1::Model& model() { return models_.model; }
  v1::Model& AddModel(const std::string& name) {
    v1::Model& model = models_.others.emplace_back(models_.model);
    model.set_name(name);
    return model;
  }

  FakeTraffic traffic;

 private:
  FakeGeneration generation_;
  FakeScoring scoring_;
  FakeTokenizer tokenizer_;
  FakeModels models_;
  FakeServerInfo info_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace dyad::testing
