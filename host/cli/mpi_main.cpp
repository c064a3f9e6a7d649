// SPDX-License-Identifier: Apache-2.0
// The program `mote-mpi`: an answer of all processes that mpirun has started.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/sampler_options.hpp"
#include "mpi/mpi_cluster.hpp"
#include "run/engine.hpp"
#include "run/model_file.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

struct MpiRunOptions {
  std::string model;
  std::string shards;
  std::string prompt;
  std::int64_t max_tokens = -1;
  std::uint32_t context_length = 0;
  std::uint32_t batch = 16;
  bool is_round_robin = false;
  std::vector<std::uint32_t> weights;
  SamplerOptions sampling;
};

struct Place {
  int rank = 0;
  int size = 1;
};

/// The file of this process: the whole model, or its shard in a folder that `mote shard` wrote.
std::string image_path(const MpiRunOptions& options, const Place& place) {
  if (options.shards.empty()) return options.model;
  const std::string ending = fmt::format(".{}of{}.mote", place.rank, place.size);
  for (const auto& entry : std::filesystem::directory_iterator(options.shards)) {
    const std::string path = entry.path().string();
    if (path.ends_with(ending)) return path;
  }
  throw Error(fmt::format("{}: has no file *{}; mote shard --chips {} writes it", options.shards,
                          ending, place.size));
}

template <typename T>
void broadcast(std::vector<T>& values) {
  auto count = static_cast<std::uint64_t>(values.size());
  MPI_Bcast(&count, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
  values.resize(count);
  MPI_Bcast(values.data(), static_cast<int>(count * sizeof(T)), MPI_BYTE, 0, MPI_COMM_WORLD);
}

/// What process 0 alone knows, for it has the tokenizer: the prompt and the tokens that end a text.
struct Request {
  std::vector<std::uint32_t> prompt;
  std::vector<std::uint32_t> ends;
  SamplerConfig sampling;
};

Request make_request(const MpiRunOptions& options, const std::string& path, const Image& image,
                     const Place& place) {
  Request request;
  if (place.rank == 0) {
    const Tokenizer tokenizer = open_tokenizer(path, image);
    request.prompt = encode(tokenizer, path, options.prompt, {});
    for (std::uint32_t token = 0; token < tokenizer.vocab_size(); ++token) {
      if (tokenizer.is_end(token)) request.ends.push_back(token);
    }
    request.sampling = options.sampling.resolve(image.config().vocab_size);
  }
  broadcast(request.prompt);
  broadcast(request.ends);
  MPI_Bcast(&request.sampling, static_cast<int>(sizeof(SamplerConfig)), MPI_BYTE, 0,
            MPI_COMM_WORLD);
  return request;
}

MpiOptions cluster_options(const MpiRunOptions& options, const ModelConfig& config,
                           const SamplerConfig& sampling) {
  MpiOptions result;
  result.policy = options.is_round_robin ? HeadPolicy::round_robin : HeadPolicy::contiguous;
  for (const std::uint32_t weight : options.weights) {
    if (weight > 255) throw Error(fmt::format("--weights-of-chips: {} is above 255", weight));
    result.weights.push_back(static_cast<std::uint8_t>(weight));
  }
  result.run.context_length =
      options.context_length != 0 ? options.context_length : config.context_length;
  result.run.batch = options.batch;
  result.run.candidates = sampling.top_k;
  return result;
}

/// Process 0 writes what all have drawn.
class Writer {
 public:
  Writer(const MpiRunOptions& options, const std::string& path, const Image& image,
         const Place& place)
      : is_active_(place.rank == 0) {
    if (!is_active_) return;
    tokenizer_ = open_tokenizer(path, image);
    std::fwrite(options.prompt.data(), 1, options.prompt.size(), stdout);
  }
  void write(std::uint32_t previous, std::uint32_t token) {
    if (!is_active_) return;
    const std::string_view piece = tokenizer_.decode(previous, token);
    buffer_.resize(piece.size() + 4);
    const std::string_view text = stream_.push(piece, buffer_);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  void finish() {
    if (is_active_) std::fputc('\n', stdout);
  }

 private:
  bool is_active_;
  Tokenizer tokenizer_;
  Utf8Stream stream_;
  std::vector<char> buffer_;
};

void report(const MpiCluster& cluster, const Place& place, double seconds, std::size_t tokens) {
  const MpiCounters& own = cluster.counters();
  double shares[2] = {own.compute_seconds, own.gather_seconds};
  MPI_Reduce(place.rank == 0 ? MPI_IN_PLACE : shares, shares, 2, MPI_DOUBLE, MPI_SUM, 0,
             MPI_COMM_WORLD);
  if (place.rank != 0 || seconds <= 0 || tokens == 0) return;
  fmt::print(stderr,
             "{} processes: {} tokens, {:.1f} tokens/s; of their time {:.0f} % computing, {:.0f} % "
             "in MPI (the wire, and waiting for the slowest); {:.0f} bytes a token sent by "
             "process 0 in {:.0f} all-gathers\n",
             place.size, tokens, static_cast<double>(tokens) / seconds,
             100 * shares[0] / (seconds * place.size), 100 * shares[1] / (seconds * place.size),
             static_cast<double>(own.payload_bytes) / static_cast<double>(tokens),
             static_cast<double>(own.gathers) / static_cast<double>(tokens));
}

void run(const MpiRunOptions& options, const Place& place) {
  const std::string path = image_path(options, place);
  const ModelFile file(path, Verify::full);
  const Image& image = file.image();
  const Request request = make_request(options, path, image, place);
  MpiCluster cluster(MPI_COMM_WORLD, image,
                     cluster_options(options, image.config(), request.sampling));
  Writer writer(options, path, image, place);
  const double begin = MPI_Wtime();
  cluster.start(request.prompt, request.sampling);
  std::size_t tokens = 0;
  while (options.max_tokens < 0 || tokens < static_cast<std::size_t>(options.max_tokens)) {
    const std::uint32_t previous = cluster.text().back();
    if (!cluster.next_token()) break;
    const std::uint32_t token = cluster.text().back();
    if (std::ranges::find(request.ends, token) != request.ends.end()) break;
    writer.write(previous, token);
    ++tokens;
  }
  writer.finish();
  report(cluster, place, MPI_Wtime() - begin, tokens + request.prompt.size());
}

void add_options(CLI::App& app, MpiRunOptions& options) {
  auto* model = app.add_option("-m,--model", options.model, "Model image (.mote), on each machine");
  auto* shards = app.add_option("--shards", options.shards,
                                "Folder that mote shard wrote: each process takes its own part");
  shards->excludes(model);
  app.add_option("-p,--prompt", options.prompt, "Text to begin with");
  app.add_option("-n,--predict", options.max_tokens,
                 "Tokens to write; -1: until the model ends or the context is full")
      ->capture_default_str();
  app.add_option("-c,--ctx-size", options.context_length, "Positions of context; 0: the model's")
      ->capture_default_str();
  app.add_option("-b,--batch", options.batch, "Positions of the prompt in one exchange")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxBatch));
  app.add_flag("--round-robin", options.is_round_robin, "Deal heads by turns");
  app.add_option("--weights-of-chips", options.weights, "Relative speeds of the processes")
      ->delimiter(',');
  options.sampling.add_to(app);
}

}  // namespace
}  // namespace mote::host

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  mote::host::Place place;
  MPI_Comm_rank(MPI_COMM_WORLD, &place.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place.size);
  CLI::App app("A Mote model over the processes of an MPI program.", "mote-mpi");
  app.footer("Example: mpirun -n 4 mote-mpi -m stories260K.mote -p \"Once upon a time\" -n 100");
  mote::host::MpiRunOptions options;
  mote::host::add_options(app, options);
  int status = 0;
  try {
    app.parse(argc, argv);
    if (options.model.empty() && options.shards.empty()) throw CLI::RequiredError("--model");
    mote::host::run(options, place);
  } catch (const CLI::ParseError& error) {
    // All processes read the same command line; one says what is wrong with it.
    if (place.rank == 0) status = app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote-mpi: %s\n", error.what());
    // Others may wait for this one for ever.
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return status;
}
