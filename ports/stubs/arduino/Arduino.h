// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

#define F_CPU 125000000L

class Print {
 public:
  virtual size_t write(uint8_t byte) = 0;
  virtual size_t write(const uint8_t* buffer, size_t size);
  virtual int availableForWrite();
};
class Stream : public Print {
 public:
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;
};
class HardwareSerial : public Stream {
 public:
  void begin(unsigned long baud);
  size_t write(uint8_t byte) override;
  using Print::write;
  int available() override;
  int read() override;
  int peek() override;
  operator bool();
};
extern HardwareSerial Serial;
extern HardwareSerial Serial1;
extern HardwareSerial Serial2;

extern "C" {
unsigned long micros(void);
void delay(unsigned long milliseconds);
void yield(void);
}
void setup();
void loop();
