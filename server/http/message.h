// A request and an answer of HTTP/1.1 as plain data.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dyad {

struct HttpField {
  std::string name;
  std::string value;
};
using HttpFields = std::vector<HttpField>;

// With small letters; of ASCII.
std::string Lower(std::string_view text);

// The first field of this name, whatever its letters' case.
std::optional<std::string_view> FindField(const HttpFields& fields, std::string_view name);
size_t CountFields(const HttpFields& fields, std::string_view name);

struct HttpRequest {
  std::string method;  // as sent: "GET"
  std::string path;    // as sent, without query: "/v1/models"
  std::string query;   // behind the first "?"
  std::string host;    // Host, or that of an absolute target, which goes before
  HttpFields fields;
  std::string body;
};

// Connection, Content-Length and Transfer-Encoding are the connection's; all else is the handler's.
struct HttpResponse {
  int status = 200;
  HttpFields fields;
  std::string body;
};

// What is wrong with bytes that are no request.
struct HttpFault {
  int status = 400;
  std::string message;
};

// "Not Found"; "Unknown" for a status that is not used here.
std::string_view ReasonPhrase(int status);

}  // namespace dyad
