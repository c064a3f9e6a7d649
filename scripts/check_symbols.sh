#!/usr/bin/env bash
# Fails when the device library defines or needs what it may not: heap, exceptions, RTTI, floating
# point, I/O, anything of a C or C++ library but the four memory functions, or writable data.
# It reads a plain build; sanitizers add symbols of their own.
#
# What stands in objects of one instruction set may be no inline function, of which the linker keeps
# one copy for every machine.
#
# Usage: scripts/check_symbols.sh NM ARCHIVE [ARCHIVE_THAT_IT_NEEDS]
set -euo pipefail

fail() {
  echo "symbols: $1" >&2
  exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] ||
  fail "usage: scripts/check_symbols.sh NM ARCHIVE [ARCHIVE_THAT_IT_NEEDS]"
nm=$1
archive=$2
[ -s "$archive" ] || fail "$archive is missing or empty"
needed=
if [ $# -eq 3 ]; then
  needed=$("$nm" --demangle --defined-only "$3" | sed -n 's/^[0-9a-f]* T \(mote::.*\)/\1/p')
fi

# A row a symbol: class, section, name; the section of an undefined symbol is *UND*.
symbols=$("$nm" --format=sysv --demangle "$archive" | awk -F'|' '
  NF >= 7 && $1 !~ /^Name/ {
    class = $(NF - 4); section = $NF
    gsub(/[ \t]/, "", class); gsub(/[ \t]/, "", section)
    name = $1
    for (i = 2; i <= NF - 6; ++i) name = name "|" $i   # operator| has the separator in its name
    sub(/[ \t]+$/, "", name)
    print class "\t" section "\t" name
  }') || fail "$nm could not read $archive"

# Without this a wrong or stripped archive would pass.
grep -qE $'^T\t[^\t]*\tmote::Transformer::decode\\(' <<<"$symbols" ||
  fail "$archive does not define mote::Transformer::decode"

# What may be needed from outside: four functions that compilers call on their own, integer
# arithmetic of the compiler's runtime, and what position-independent or hardened code refers to.
allowed='^(mem(cpy|set|move|cmp)|_GLOBAL_OFFSET_TABLE_|__stack_chk_(fail|guard)'
allowed+='|__(u?div|u?mod|u?divmod|mul|neg|ashl|ashr|lshr|clz|ctz|popcount|bswap|u?cmp)[sdt]i[234]?'
allowed+='|__aeabi_(u?idiv(mod)?|u?ldivmod|lmul|lls[lr]|lasr|u?lcmp|mem(cpy|set|move|clr)[48]?))$'
# What may not stand in it even where it is defined there: a header can bring these along.
forbidden='^(operator (new|delete)|__cxa_|_Unwind_|__gxx_personality|__dynamic_cast|typeinfo '
forbidden+='|std::__throw|std::terminate|guard variable for|_GLOBAL__sub_I_'
forbidden+='|__(add|sub|mul|div|neg|fix|float|extend|trunc|gt|lt|ge|le|eq|ne|cmp|unord)[a-z]*'
forbidden+='[sdtx]f[a-z0-9]*$|__aeabi_[fd]|__aeabi_u?[il]2[fd])'

faults=$(needed=$needed awk -F'\t' -v allowed="$allowed" -v forbidden="$forbidden" '
  BEGIN {
    n = split(ENVIRON["needed"], names, "\n")
    for (i = 1; i <= n; ++i) defined[names[i]] = 1
  }
  # .data.rel.ro holds constants with addresses; nothing writes to it after loading.
  function is_writable(class, section) {
    if (section ~ /^\.data\.rel\.ro/) return 0
    return class ~ /^[BbC]$/ || section ~ /^\.s?(data|bss)(\.|$)|^\.t(data|bss)|^\*COM\*/
  }
  { class[NR] = $1; section[NR] = $2; name[NR] = $3 }
  $1 !~ /^[UwvN]$/ { defined[$3] = 1 }
  END {
    for (i = 1; i <= NR; ++i) {
      if (name[i] ~ forbidden) {
        print "forbidden: " name[i]
      } else if (class[i] ~ /^[Uwv]$/) {
        if (!(name[i] in defined) && name[i] !~ allowed) print "needed from outside: " name[i]
      } else if (is_writable(class[i], section[i])) {
        print "writable data: " name[i] " in " section[i]
      }
    }
  }' <<<"$symbols" | sort -u)
faults+=$("$nm" -A --demangle --defined-only "$archive" | awk '
  /_(avx2|avx512|neon|dotprod)\.cpp\.o:/ && $2 ~ /^[WVwvu]$/ {
    print "\ninline in an object of one instruction set: " $0
  }')
if [ -n "$faults" ]; then
  printf '%s\n' "$faults" >&2
  fail "$archive breaks the rules of device code"
fi
echo "symbols: $archive is clean ($(wc -l <<<"$symbols") symbols)"
