// SPDX-License-Identifier: Apache-2.0
// The words of the command line for policies and topologies.
#pragma once

#include <map>
#include <string>

#include "plan/link.hpp"
#include "shard/shard_summary.hpp"

namespace mote::host {

inline const std::map<std::string, HeadPolicy> kPolicies = {
    {policy_name(HeadPolicy::contiguous), HeadPolicy::contiguous},
    {policy_name(HeadPolicy::round_robin), HeadPolicy::round_robin}};

inline const std::map<std::string, Topology> kTopologies = {
    {topology_name(Topology::ring), Topology::ring},
    {topology_name(Topology::star), Topology::star},
    {topology_name(Topology::broadcast), Topology::broadcast}};

}  // namespace mote::host
