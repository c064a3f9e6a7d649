// SPDX-License-Identifier: Apache-2.0
// One link, a medium for all: ESP-NOW broadcasts, a frame a packet. Foreign packets on the channel
// are frames that do not pass the checksum.
#include <algorithm>
#include <array>
#include <atomic>

#include "ecosystem/byte_queue.hpp"
#include "ecosystem/frame_collector.hpp"
#include "esp_event.h"
#include "esp_now.h"
#include "esp_wifi.h"
#include "firmware/board.hpp"
#include "mote/message.hpp"
#include "nvs_flash.h"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

static_assert(kMinFrameBytes <= ESP_NOW_MAX_DATA_LEN);

constexpr std::array<std::uint8_t, ESP_NOW_ETH_ALEN> kEveryone{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

ports::ByteQueue<8192> received;
ports::FrameCollector<kMinFrameBytes> outgoing;
std::atomic<std::uint32_t> is_sending{0};

// Called by the task of Wi-Fi. What does not fit is lost, and comes again.
void on_received(const esp_now_recv_info_t*, const std::uint8_t* data, int length) {
  if (received.write_whole({data, static_cast<std::size_t>(length)})) wake();
}

// The first argument differs between versions of ESP-IDF.
template <typename Info>
void on_sent(const Info*, esp_now_send_status_t) {
  is_sending.store(0);
  wake();
}

// ESP-IDF keeps what it measures of the radio there; a damaged or old store is emptied.
void open_store() {
  const esp_err_t error = nvs_flash_init();
  if (error == ESP_OK) return;
  ESP_ERROR_CHECK(nvs_flash_erase());
  ESP_ERROR_CHECK(nvs_flash_init());
}

void open_radio() {
  ESP_ERROR_CHECK(esp_event_loop_create_default());
  const wifi_init_config_t config = WIFI_INIT_CONFIG_DEFAULT();
  ESP_ERROR_CHECK(esp_wifi_init(&config));
  ESP_ERROR_CHECK(esp_wifi_set_storage(WIFI_STORAGE_RAM));
  ESP_ERROR_CHECK(esp_wifi_set_mode(WIFI_MODE_STA));
  ESP_ERROR_CHECK(esp_wifi_start());
  ESP_ERROR_CHECK(esp_wifi_set_ps(WIFI_PS_NONE));
  ESP_ERROR_CHECK(esp_wifi_set_channel(CONFIG_MOTE_ESP_NOW_CHANNEL, WIFI_SECOND_CHAN_NONE));
}

// Sends the frame that is whole, unless one is still on its way.
void send_frame() {
  if (outgoing.frame().empty() || is_sending.load() != 0) return;
  is_sending.store(1);
  const esp_err_t error =
      esp_now_send(kEveryone.data(), outgoing.frame().data(), outgoing.frame().size());
  if (error != ESP_OK) is_sending.store(0);
  if (error != ESP_ERR_ESPNOW_NO_MEM) outgoing.clear();
}

}  // namespace

void open_links() {
  open_store();
  open_radio();
  ESP_ERROR_CHECK(esp_now_init());
  ESP_ERROR_CHECK(esp_now_register_recv_cb(on_received));
  ESP_ERROR_CHECK(esp_now_register_send_cb(on_sent));
  esp_now_peer_info_t peer{};
  std::copy(kEveryone.begin(), kEveryone.end(), peer.peer_addr);
  peer.ifidx = WIFI_IF_STA;
  ESP_ERROR_CHECK(esp_now_add_peer(&peer));
  // Broadcasts go at 1 Mbit/s unless told otherwise: 2 ms a frame.
  esp_now_rate_config_t rate{};
  rate.phymode = WIFI_PHY_MODE_11G;
  rate.rate = WIFI_PHY_RATE_24M;
  ESP_ERROR_CHECK(esp_now_set_peer_rate_config(kEveryone.data(), &rate));
}

}  // namespace mote::esp_idf

namespace mote::board {

std::uint32_t link_count() {
  return 1;
}

std::size_t read_link(std::uint32_t, std::span<std::uint8_t> out) {
  esp_idf::send_frame();
  return esp_idf::received.read(out);
}

std::size_t write_link(std::uint32_t, std::span<const std::uint8_t> bytes) {
  esp_idf::send_frame();
  const std::size_t taken = esp_idf::outgoing.take(bytes);
  esp_idf::send_frame();
  return taken;
}

std::size_t link_frame_bytes() {
  return kMinFrameBytes;
}

}  // namespace mote::board
