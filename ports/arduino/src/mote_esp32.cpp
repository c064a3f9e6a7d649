// SPDX-License-Identifier: Apache-2.0
// The ESP32 family under Arduino: a partition as model, computing apart from the sketch's task.
#if defined(ESP32)

#include <esp_mac.h>
#include <esp_partition.h>
#include <esp_random.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include <array>
#include <atomic>

#include "mote_platform.h"

// After the others.
#include "Mote.h"

namespace mote::arduino {
namespace {

constexpr std::uint32_t kStackBytes = 8192;

TaskHandle_t worker;
void (*step_to_do)(void*);
void* step_argument;
std::atomic<std::uint32_t> is_done{1};

void work(void*) {
  for (;;) {
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    step_to_do(step_argument);
    is_done.store(1, std::memory_order_release);
  }
}

// The core that the sketch does not run on; with one core, while the sketch sleeps.
bool start_worker() {
  const BaseType_t core = CONFIG_FREERTOS_NUMBER_OF_CORES - 1 - xPortGetCoreID();
  return xTaskCreatePinnedToCore(work, "mote_compute", kStackBytes, nullptr, tskIDLE_PRIORITY,
                                 &worker, core) == pdPASS;
}

}  // namespace

Region map_partition(const char* label) {
  const esp_partition_t* partition =
      esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
  const void* address = nullptr;
  esp_partition_mmap_handle_t handle = 0;
  if (partition == nullptr ||
      esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &address,
                         &handle) != ESP_OK) {
    return {};
  }
  return {static_cast<const uint8_t*>(address), partition->size};
}

std::uint64_t platform_identity() {
  std::array<std::uint8_t, 8> address{};
  if (esp_efuse_mac_get_default(address.data()) != ESP_OK) return 0;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : address) number = number << 8 | byte;
  return number;
}

std::uint32_t platform_random() {
  return esp_random();
}

void platform_sleep() {
  delay(1);
}

bool platform_start_apart(void (*step)(void*), void* what) {
  if (worker == nullptr && !start_worker()) return false;
  step_to_do = step;
  step_argument = what;
  is_done.store(0, std::memory_order_release);
  xTaskNotifyGive(worker);
  return true;
}

bool platform_is_apart_done() {
  return is_done.load(std::memory_order_acquire) != 0;
}

}  // namespace mote::arduino

#endif
