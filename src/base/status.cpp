// SPDX-License-Identifier: Apache-2.0
#include "mote/status.hpp"

namespace mote {

const char* status_text(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::arena_too_small:
      return "the arena is too small";
    case Status::arena_misaligned:
      return "the arena does not begin at a multiple of 16";
    case Status::output_too_small:
      return "the output span is too small";
    case Status::image_truncated:
      return "the image is shorter than its header says";
    case Status::image_bad_magic:
      return "not a Mote image";
    case Status::image_bad_version:
      return "the image has another format version than 1";
    case Status::image_bad_size:
      return "the image has another size than its header says";
    case Status::image_misaligned:
      return "the image does not begin at a multiple of 32";
    case Status::image_bad_header_crc:
      return "the header of the image is damaged";
    case Status::image_bad_section_table:
      return "the section table of the image is not valid";
    case Status::image_section_out_of_range:
      return "a section lies outside the image";
    case Status::image_section_overlap:
      return "sections of the image overlap or leave gaps";
    case Status::image_section_missing:
      return "the image lacks a section";
    case Status::image_bad_config:
      return "the configuration of the image is out of range";
    case Status::image_bad_shape:
      return "a section has another shape than the configuration says";
    case Status::image_bad_section_crc:
      return "a section of the image is damaged";
    case Status::image_bad_hash:
      return "the content of the image is damaged";
    case Status::image_bad_tokenizer:
      return "the tokenizer of the image is not valid";
    case Status::image_bad_attention:
      return "the attention of a layer is not valid";
    case Status::token_out_of_range:
      return "a token is not in the vocabulary";
    case Status::context_full:
      return "the tokens do not fit the context";
    case Status::bad_run_config:
      return "context length, batch or candidates are out of range";
    case Status::bad_sampler_config:
      return "a sampler setting is out of range";
    case Status::cannot_rewind:
      return "a layer forgets positions, so that only a reset goes back";
    case Status::bad_partition:
      return "a model is cut over 1 to 64 chips, not all of weight 0";
    case Status::bad_cluster_config:
      return "the configuration of the cluster is out of range";
    case Status::message_bad_version:
      return "the other side speaks another version of the protocol";
    case Status::message_malformed:
      return "a message is not valid";
    case Status::wrong_model:
      return "the chips hold different models";
    case Status::wrong_shard:
      return "a chip holds another part of the model than its rank asks for";
    case Status::duplicate_seat:
      return "two chips claim the same seat";
    case Status::chip_silent:
      return "a chip has fallen silent";
    case Status::chip_restarted:
      return "a chip has started anew";
    case Status::image_damaged:
      return "the image of a chip was damaged while it ran";
    case Status::not_enough_chips:
      return "the chips that are left cannot hold the model";
    case Status::cluster_stalled:
      return "the cluster makes no progress";
    case Status::history_full:
      return "the text is longer than the chips can remember";
    case Status::image_bad_shard:
      return "the part of the model that the image says it holds is not valid";
    case Status::tokenizer_not_built:
      return "the model needs byte-level BPE, which this program was built without";
  }
  return "unknown status";
}

}  // namespace mote
