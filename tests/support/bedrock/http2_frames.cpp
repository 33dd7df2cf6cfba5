#include "support/bedrock/http2_frames.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

namespace valkeycache::test {
namespace {

constexpr std::size_t max_body = std::size_t{64} << 20;
constexpr std::size_t give_at_most = std::size_t{256} << 10;

nghttp2_nv name_value(const std::string& name, const std::string& value) {
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

struct Http2Frames::Callbacks {
  static Http2Frames& self(void* user) { return *static_cast<Http2Frames*>(user); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS) self(user).requests_[frame->hd.stream_id] = {};
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    auto& requests = self(user).requests_;
    const auto found = requests.find(frame->hd.stream_id);
    if (found == requests.end()) return 0;
    auto& request = found->second;
    const std::string header(reinterpret_cast<const char*>(name), name_size);
    std::string text(reinterpret_cast<const char*>(value), value_size);
    if (header == ":method") {
      request.method = std::move(text);
    } else if (header == ":path") {
      request.target = std::move(text);
    } else if (header == ":authority") {
      request.headers.emplace_back("host", text);
      request.headers.emplace_back(header, std::move(text));  // signed by either name
    } else if (header[0] != ':') {
      request.headers.emplace_back(header, std::move(text));
    }
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream,
                     const std::uint8_t* data, std::size_t size, void* user) {
    auto& requests = self(user).requests_;
    const auto found = requests.find(stream);
    if (found == requests.end()) return 0;
    auto& body = found->second.body;
    if (size > max_body - body.size()) {
      return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    }
    body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    auto node = self(user).requests_.extract(frame->hd.stream_id);
    if (!node.empty()) self(user).owner_.on_request(node.key(), std::move(node.mapped()));
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) {
    self(user).requests_.erase(stream);
    self(user).owner_.on_stream_closed(stream);
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t stream, std::uint8_t* out,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                           void* user) {
    const auto data = self(user).owner_.next_data(stream, size);
    if (data.kind == Data::Kind::wait) return NGHTTP2_ERR_DEFERRED;
    if (data.kind == Data::Kind::last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!data.bytes.empty()) std::memcpy(out, data.bytes.data(), data.bytes.size());
    return static_cast<ssize_t>(data.bytes.size());
  }
};

Http2Frames::Http2Frames(Owner& owner, std::uint32_t max_streams) : owner_(owner) {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  const int made = nghttp2_session_server_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << 20}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
}

Http2Frames::~Http2Frames() {
  nghttp2_session_del(session_);
}

bool Http2Frames::take(std::string_view bytes) {
  return nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                  bytes.size()) == static_cast<ssize_t>(bytes.size());
}

bool Http2Frames::give(std::string& out) {
  while (out.size() < give_at_most) {
    const std::uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) return false;
    if (size == 0) break;
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  }
  return true;
}

bool Http2Frames::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Http2Frames::respond(std::int32_t stream, const Reply& reply) {
  HeaderPairs headers{{":status", std::to_string(reply.status)}};
  headers.insert(headers.end(), reply.headers.begin(), reply.headers.end());
  if (reply.sized) headers.emplace_back("content-length", std::to_string(reply.body.size()));
  std::vector<nghttp2_nv> lines;
  for (auto& [name, value] : headers) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    lines.push_back(name_value(name, value));
  }
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  nghttp2_submit_response(session_, stream, lines.data(), lines.size(), &body);
}

void Http2Frames::resume(std::int32_t stream) {
  nghttp2_session_resume_data(session_, stream);
}

void Http2Frames::reset(std::int32_t stream, std::uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error_code);
}

void Http2Frames::go_away(std::int32_t last) {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, std::max(last, 0), NGHTTP2_NO_ERROR, nullptr,
                        0);
}

}  // namespace valkeycache::test
