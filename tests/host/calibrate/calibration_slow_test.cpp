// SPDX-License-Identifier: Apache-2.0
// What calibration must keep on a real text that it has not seen: perplexity against that of an
// fp32 forward pass. It takes minutes.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "calibrate/calibrated_convert.hpp"
#include "convert/open_vocabulary.hpp"
#include "run/perplexity.hpp"
#include "support/image_factory.hpp"
#include "support/mapped_file.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kCalibrationBytes = 100000;

std::string_view view_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

class CalibrationBars : public testing::Test {
 protected:
  static std::string missing_input(const test::SharedModel& model) {
    for (const char* name : {"data/tinystories_train.txt", "data/tinystories_eval.txt"}) {
      if (!std::filesystem::exists(test::shared_path(name))) return test::shared_path(name);
    }
    return test::missing_file(model);
  }

  /// int4, or mixed within so many bits a weight. `steps` are fewer than `mote convert` makes where
  /// the bar needs no more, to take less time.
  struct Wanted {
    std::uint32_t steps = CalibrationOptions{}.steps;
    std::optional<double> bits = {};
  };

  /// Perplexity on the text that calibration has not seen.
  static double calibrated_perplexity(const test::SharedModel& model, const Wanted& wanted) {
    const TemporaryFile file("mote-test");
    const auto checkpoint = open_checkpoint(test::shared_path(model.model));
    const Vocabulary vocabulary =
        open_vocabulary("", test::shared_path(model.tokenizer), checkpoint->shape().vocab_size);
    const MappedFile text(test::shared_path("data/tinystories_train.txt"));
    ConvertOptions options;
    options.weights = WeightFormat::int4;
    options.name = "model";
    CalibrationOptions calibration;
    calibration.text = view_of(text).substr(0, kCalibrationBytes);
    calibration.text_name = "text";
    calibration.steps = wanted.steps;
    if (wanted.bits) calibration.budget = MixedBudget{{}, wanted.bits};
    convert_calibrated(file.path(), *checkpoint, vocabulary, options, calibration);
    return perplexity_of(file.path());
  }

  static double plain_perplexity(const test::SharedModel& model) {
    const TemporaryFile file("mote-test");
    convert_shared(file.path(), model, WeightFormat::int4);
    return perplexity_of(file.path());
  }

 private:
  static double perplexity_of(const std::string& path) {
    EngineOptions options;
    options.batch = 1;
    Engine engine(path, options);
    const MappedFile text(test::shared_path("data/tinystories_eval.txt"));
    const double perplexity = measure_perplexity(engine, split_stories(view_of(text))).perplexity();
    testing::Test::RecordProperty("perplexity", std::to_string(perplexity));
    return perplexity;
  }
};

constexpr double kStories260KExact = 3.9463;
constexpr double kBabyllamaExact = 2.1453;

TEST_F(CalibrationBars, stories260K_int4) {
  MOTE_SKIP_WITHOUT(missing_input(test::kStories260K));
  EXPECT_LE(calibrated_perplexity(test::kStories260K, {300, {}}), kStories260KExact * 1.063);
}

TEST_F(CalibrationBars, stories260K_mixed_at_five_bits) {
  MOTE_SKIP_WITHOUT(missing_input(test::kStories260K));
  const Wanted wanted = {CalibrationOptions{}.steps, 5.0};
  EXPECT_LE(calibrated_perplexity(test::kStories260K, wanted), kStories260KExact * 1.025);
}

TEST_F(CalibrationBars, babyllama_int4_costs_at_most_half_of_plain_rounding) {
  MOTE_SKIP_WITHOUT(missing_input(test::kBabyllama));
  const double plain = plain_perplexity(test::kBabyllama);
  EXPECT_LE(calibrated_perplexity(test::kBabyllama, {50, {}}),
            kBabyllamaExact + (plain - kBabyllamaExact) / 2);
}

}  // namespace
}  // namespace mote::host
