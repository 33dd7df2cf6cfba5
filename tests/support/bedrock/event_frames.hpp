// Frames of an event stream, written for tests and the simulated Bedrock alone: it shares nothing
// with src/bedrock, so that a fault of the decoder cannot hide here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::test {

// A string header.
std::string frame_header(std::string_view name, std::string_view value);
// The first twelve bytes, with the right checksum.
std::string frame_prelude(std::size_t total, std::size_t headers);
std::string frame(std::string_view headers, std::string_view payload);

// As Bedrock sends them.
std::string event_frame(std::string_view type, std::string_view payload);
std::string exception_frame(std::string_view type, std::string_view payload);
std::string error_frame(std::string_view code, std::string_view message);

// A whole streamed answer: so many times a text of 1 MiB. Cheaper than what the simulated model
// makes.
std::string stream_of_mebibytes(std::size_t count);

// Sizes for cutting a stream into pieces: the same ones for the same seed.
std::vector<std::size_t> random_sizes(unsigned seed, std::size_t largest = 60,
                                      std::size_t count = 200);

std::string from_base64(const std::string& base64);

}  // namespace valkeycache::test
