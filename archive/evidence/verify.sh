#!/bin/sh
# Checks an evidence package with sh, find, sort, sha256sum and openssl, and nothing else.
#
#   sh verify.sh PACKAGE [AUTHORITY.pem [TIMESTAMP-AUTHORITY.pem]]
#
# A package brings a copy of this script and of the certificates in verify/. They are there for
# convenience: who made a false package made false copies too. Take the script and the certificate
# of the authority from another way, or compare the fingerprints this prints with the published ones.
set -u
LC_ALL=C
export LC_ALL

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }

package=${1:-.}
case ${2:-} in '' | /*) authority=${2:-} ;; *) authority=$PWD/$2 ;; esac
case ${3:-} in '' | /*) stamper=${3:-} ;; *) stamper=$PWD/$3 ;; esac
cd "$package" 2>/dev/null || fail "there is no package at $package"
[ -n "$authority" ] || { authority=verify/authority.pem; say "NOTE: trusting the certificate inside the package."; }
[ -n "$stamper" ] || stamper=verify/timestamp-authority.pem
[ -s "$authority" ] || fail "there is no certificate of the authority at $authority"

# Only files and folders, with names no tool reads as anything else.
odd=$(find . ! -type f ! -type d) || fail "the package can't be read"
[ -z "$odd" ] || fail "there is something that is no file: $odd"
odd=$(find . -name '*[!A-Za-z0-9._-]*')
[ -z "$odd" ] || fail "there is a name that is not allowed: $odd"

for file in bagit.txt bag-info.txt manifest-sha256.txt tagmanifest-sha256.txt tagmanifest-sha256.txt.p7s; do
    [ -s "$file" ] || fail "$file is missing or empty"
done

# Whether a time-stamp belongs to it stands in a signed file, so that nobody takes it away unseen.
required=
while read -r label value; do
    [ "$label" = "Timestamp-Required:" ] && required=$value
done <bag-info.txt
case $required in
    yes)
        for file in tagmanifest-sha256.txt.p7s.tsr tagmanifest-sha256.txt.p7s.tsr.p7s; do
            [ -s "$file" ] || fail "the time-stamp is missing: $file"
        done
        ;;
    no) ;;
    *) fail "bag-info.txt does not say whether a time-stamp belongs to the package" ;;
esac

# An ASiC-E container has three files more, which the lists of the package do not know.
asic=
if [ -e mimetype ] || [ -e META-INF ]; then asic=yes; fi
kind=application/vnd.etsi.asic-e+zip
asic_manifest=META-INF/ASiCManifest001.xml asic_signature=META-INF/signature001.p7s
if [ -n "$asic" ]; then
    for file in mimetype "$asic_manifest" "$asic_signature"; do
        [ -s "$file" ] || fail "$file is missing or empty"
    done
fi

# The files that are listed are the files that are there: no more, no fewer.
names() {
    while read -r hash name; do
        [ "${#hash}" = 64 ] || { say "not a hash: $hash"; continue; }
        say "./$name"
    done <"$1"
}
listed=$({
    names manifest-sha256.txt
    names tagmanifest-sha256.txt
    say ./tagmanifest-sha256.txt
    say ./tagmanifest-sha256.txt.p7s
    if [ "$required" = yes ]; then
        say ./tagmanifest-sha256.txt.p7s.tsr
        say ./tagmanifest-sha256.txt.p7s.tsr.p7s
    fi
    if [ -n "$asic" ]; then
        say ./mimetype
        say "./$asic_manifest"
        say "./$asic_signature"
    fi
} | sort)
present=$(find . -type f | sort)
[ "$listed" = "$present" ] || fail "the files that are there are not the files that are listed"
while read -r hash name; do
    case $name in data/*) ;; *) fail "$name is listed as evidence and is none" ;; esac
done <manifest-sha256.txt
sha256sum -c --quiet --strict tagmanifest-sha256.txt || fail "a file beside the evidence was changed"
sha256sum -c --quiet --strict manifest-sha256.txt || fail "a file of the evidence was changed"

# The moment of a time-stamp as seconds since 1970, from "Time stamp: Nov 22 12:00:00 2026 GMT".
seconds() {
    month=$1 day=$2 clock=$3 year=$4
    case $month in
        Jan) m=11 ;; Feb) m=12 ;; Mar) m=1 ;; Apr) m=2 ;; May) m=3 ;; Jun) m=4 ;;
        Jul) m=5 ;; Aug) m=6 ;; Sep) m=7 ;; Oct) m=8 ;; Nov) m=9 ;; Dec) m=10 ;; *) return 1 ;;
    esac
    [ "$m" -gt 10 ] && year=$((year - 1))
    hour=${clock%%:*} rest=${clock#*:}
    minute=${rest%%:*} second=${rest#*:} second=${second%%.*}
    days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (m - 1) + 2) / 5 + day - 719469))
    say $((86400 * days + 3600 * (1$hour - 100) + 60 * (1$minute - 100) + 1$second - 100))
}

at=
if [ "$required" = yes ]; then
    [ -s "$stamper" ] || fail "there is no certificate of the time-stamp authority at $stamper"
    again=$(openssl ts -reply -in tagmanifest-sha256.txt.p7s.tsr -out /dev/stdout 2>/dev/null | sha256sum) || again=
    [ "$again" = "$(sha256sum <tagmanifest-sha256.txt.p7s.tsr)" ] || fail "something stands behind the time-stamp"
    # Only what the authority of time signed is read: words of the answer around it are anybody's.
    stamp=$(openssl ts -reply -in tagmanifest-sha256.txt.p7s.tsr -token_out -text 2>/dev/null) ||
        fail "the time-stamp can't be read"
    moment=${stamp#*Time stamp: }
    moment=${moment%%GMT*}
    # shellcheck disable=SC2086
    at=$(seconds $moment) || fail "the time of the time-stamp can't be read"
    openssl ts -verify -data tagmanifest-sha256.txt.p7s -in tagmanifest-sha256.txt.p7s.tsr \
        -CAfile "$stamper" -attime "$at" >/dev/null 2>&1 || fail "the time-stamp is not of this signature"
fi
# Whether $1 is a signature of $2, with nothing behind it, by a certificate of the authority. One that has ended
# since counts as it was at the time of the stamp.
signed() {
    again=$(openssl cms -cmsout -inform DER -outform DER -in "$1" 2>/dev/null | sha256sum)
    [ "$again" = "$(sha256sum <"$1")" ] &&
        openssl cms -verify -binary -cades -inform DER -in "$1" -content "$2" \
            -CAfile "$authority" -purpose any ${at:+-attime "$at"} -out /dev/null 2>/dev/null
}
signed tagmanifest-sha256.txt.p7s tagmanifest-sha256.txt ||
    fail "the signature is not of this package, or not of that authority"
if [ "$required" = yes ]; then
    signed tagmanifest-sha256.txt.p7s.tsr.p7s tagmanifest-sha256.txt.p7s.tsr ||
        fail "the time-stamp is not as it came"
fi

# The manifest of the container is written anew from the files, and has to be the same octets.
container() {
    say '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
    printf '%s' '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"'
    say ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    say "<asic:SigReference URI=\"$asic_signature\" MimeType=\"application/x-pkcs7-signature\"/>"
    say "$present" | while read -r path; do
        name=${path#./}
        case $name in mimetype | META-INF/*) continue ;; esac
        printf '<asic:DataObjectReference URI="%s">' "$name"
        printf '%s' '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        printf '<ds:DigestValue>%s</ds:DigestValue>' "$(openssl dgst -sha256 -binary "$name" | openssl base64)"
        say '</asic:DataObjectReference>'
    done
    say '</asic:ASiCManifest>'
}
if [ -n "$asic" ]; then
    [ "$(sha256sum <mimetype)" = "$(printf '%s' "$kind" | sha256sum)" ] || fail "mimetype was changed"
    [ "$(sha256sum <"$asic_manifest")" = "$(container | sha256sum)" ] ||
        fail "$asic_manifest is not of the files that are there"
    signed "$asic_signature" "$asic_manifest" ||
        fail "$asic_signature is not the signature of $asic_manifest, or not of that authority"
fi

say "OK: nothing was added, changed or taken away since the package was signed."
say "NOTE: that the custody stands in the sealed audit log is proved by verify/verify_entry.py, line by line."
[ -z "$at" ] || say "Time-stamped: ${moment}GMT"
say "Authority: $(openssl x509 -in "$authority" -noout -fingerprint -sha256)"
