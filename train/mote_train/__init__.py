# SPDX-License-Identifier: Apache-2.0
"""Training of models for Mote: text, tokenizer, training, rounding, images."""
