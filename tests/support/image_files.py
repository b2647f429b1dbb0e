"""Image files as phones, browsers and attackers make them: trailers, other formats, rotations."""

import base64
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from typing import Final

from PIL import Image

from tests.support import pictures

JPEG, PNG, WEBP = (pictures.encoded(kind) for kind in ("jpeg", "png", "webp"))
PICTURES: Final[Mapping[str, bytes]] = {"jpeg": JPEG, "png": PNG, "webp": WEBP}


def box(name: bytes, body: bytes) -> bytes:
    """Return a box of the ISO base media file format."""
    return struct.pack(">I", 8 + len(body)) + name + body


def film(brand: bytes = b"mp42", *others: bytes) -> bytes:
    """Return the beginning of a file with this brand, and some data."""
    return box(b"ftyp", brand + bytes(4) + b"".join((brand, *others))) + box(b"mdat", bytes(range(256)) * 8)


def archive(comment: bytes = b"") -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        opened.writestr("run.sh", "echo 1")
        opened.comment = comment
    return written.getvalue()


def oneplus() -> bytes:
    """Return the trailer of a OnePlus phone: data, a JSON list, its length."""
    names = json.dumps([{"name": "watermark.device", "length": 4, "offset": 4, "version": 1}]).encode() + b"\x00"
    return b"\x0a\x0b\x0c\x0d" + names + b"jxrs" + struct.pack("<I", len(names) + 8)


def samsung(film_of_it: bytes = b"") -> bytes:
    """Return the trailer of a Samsung phone: blocks, their directory, its length."""
    block = b"\x00\x00\x01\x0a" + struct.pack("<I", 14) + b"Image_UTC_Data" + b"1700000000000" + film_of_it
    entry = struct.pack("<HHII", 0, 0x0A01, len(block), len(block))
    directory = b"SEFH" + struct.pack("<II", 107, 1) + entry
    return block + directory + struct.pack("<I", len(directory)) + b"SEFT"


#: What cameras and editors append, by its maker.
TRAILERS: Final[Mapping[str, bytes]] = {
    "a newline": b"\r\n",
    "one byte": b"x",
    "zeros": bytes(4096),
    "0xFF": b"\xff" * 64,
    "Vivo": b'vivo{"device":"V2"}\x00' + bytes(40) + b"\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1",
    "Vivo HDR": b"streamdata"
    + JPEG
    + b'streaminfo{"a":1}'
    + b'vivo{"b":2}\x00\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1',
    "OnePlus": oneplus(),
    "Samsung": samsung(),
    "Samsung film": samsung(b"MotionPhoto_Data" + film()),
    "a film": film(),
    "padding and a film": bytes(17) + film(b"isom"),
    "a second picture": pictures.encoded("jpeg", exif=pictures.exif()),
    "padding and a second picture": bytes(9) + JPEG + bytes(3) + JPEG,
    "AFCP": b"AXS!" + struct.pack(">HHI", 1, 1, 0) + b"IPTC" + b"text" * 9 + b"AXS!" + struct.pack(">II", 60, 0),
    "Canon": b"CANON OPTIONAL DATA\x00" + bytes(32) + b"CANON OPTIONAL DATA\x00" + bytes(44),
    "PhotoMechanic": bytes(20) + b"cbipcbbl"[::-1] + b"\x00\x00\x00\x20",
    "MIE": b"~\x10\x04\xfe0MIE" + b"data" + b"~\x00\x06\x0a0MIE\x00\x00\x00\x20\x18\x04",
    "XMP": b"<?xpacket begin='' id='W5M0'?><x:xmpmeta xmlns:x='adobe:ns:meta/'/><?xpacket end='w'?>",
    "JSON": b'{"camera": "front", "beauty": 3}',
    "a PNG": PNG,
    "zip's letters": b"made by PK\x03\x04, see PK\x05\x06",
}
PDF: Final = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
#: Files that a program opens although an image precedes them.
SECOND_FORMATS: Final[Mapping[str, bytes]] = {
    "a ZIP": archive(),
    "a ZIP with a comment": archive(b"a comment " * 500),
    "a ZIP and a newline": archive() + b"\n",
    "a ZIP after a film": film() + archive(),
    "an empty ZIP": b"PK\x05\x06" + bytes(18),
    "the head of a ZIP": b"PK\x03\x04 a zip",
    "a RAR": b"Rar!\x1a\x07\x01\x00" + bytes(50),
    "a 7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(50),
    "a PDF": PDF,
    "a newline and a PDF": b"\n" + PDF,
    "text and a PDF": b"x" * 500 + PDF,
    "HTML": b"<!DOCTYPE html><title>x</title>",
    "HTML in capitals": b"\r\n <HTML><body onload=alert(1)>",
    "HTML after a film": film() + b"<html><body onload=alert(1)>",
    "a comment of HTML": b"<!--x-->",
    "HTML without a head": b"text <body onload=alert(1)>",
    "a script tag": b"\x00\x00<script>alert(1)</script>",
    "a script tag after a trailer": samsung() + b"<SCRIPT src=//x></SCRIPT>",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "an SVG document": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "PHP": b"\n<?php system($_GET['c']);",
    "a shell script": b"\n#!/bin/sh\nrm -rf /\n",
    "JavaScript": b"*/=1;alert(1)/*",
}


def _saved(kind: str) -> bytes:
    written = io.BytesIO()
    pictures.picture().save(written, kind)
    return written.getvalue()


#: Files of other formats, with words of the error.
OTHERS: Final[Mapping[str, tuple[bytes, str]]] = {
    "HEIC": (film(b"heic", b"mif1", b"MiHE"), "a HEIC (HEIF) image"),
    "HEIC of a Samsung phone": (film(b"heic", b"mif1", b"heic", b"tmap"), "a HEIC (HEIF) image"),
    "HEIF": (film(b"mif1", b"heic"), "iPhone: Settings > Camera > Formats > Most Compatible"),
    "HEIF, sequence": (film(b"msf1", b"hevc"), "a HEIC (HEIF) image"),
    "AVIF": (_saved("AVIF"), "an AVIF image"),
    "AVIF with a general brand": (film(b"mif1", b"miaf", b"avif"), "an AVIF image"),
    "AVIF, animated": (film(b"avis", b"avif"), "an AVIF image"),
    "GIF": (_saved("GIF"), "a GIF"),
    "BMP": (_saved("BMP"), "a BMP image"),
    "TIFF": (_saved("TIFF"), "a TIFF image"),
    "TIFF, big endian": (b"MM\x00*\x00\x00\x00\x08" + bytes(50), "a TIFF image"),
    "raw, Canon": (film(b"crx ", b"isom"), "a raw file of a camera"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "a JPEG XL image"),
    "JPEG XL in boxes": (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + film(b"jxl "), "a JPEG XL image"),
    "JPEG 2000": (_saved("JPEG2000"), "a JPEG 2000 image"),
    "icon": (_saved("ICO"), "an icon"),
    "Photoshop": (b"8BPS\x00\x01" + bytes(50), "a Photoshop file"),
    "MP4": (film(b"mp42", b"isom"), "a video"),
    "QuickTime": (film(b"qt  "), "a video"),
    "QuickTime without a brand": (box(b"moov", bytes(50)), "a video"),
    "WebM": (b"\x1a\x45\xdf\xa3" + bytes(50), "a WebM or Matroska video"),
    "AVI": (b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(50), "a video"),
    "WAV": (b"RIFF\x10\x00\x00\x00WAVEfmt " + bytes(50), "not a JPEG, PNG or WebP image"),
    "PDF": (PDF, "a PDF document"),
    "ZIP": (archive(), "an archive"),
    "SVG": (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "HTML": (b"<!doctype html><title>Not here</title>", "an HTML or XML document"),
    "JSON": (b'{"image": "x"}', "a JSON document"),
    "base64": (base64.b64encode(JPEG), "base64 text"),
    "data URI": (b"data:image/png;base64," + base64.b64encode(PNG), "the text of a data URI"),
    "text": (b"no picture", "not a JPEG, PNG or WebP image"),
    "zeros": (bytes(500), "not a JPEG, PNG or WebP image"),
}
_INVERSE: Final = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(kind: str, orientation: int, **options: object) -> bytes:
    """Return the picture as a phone stores it that was held in this way: upright, it is ``pictures.picture()``."""
    image, inverse = pictures.picture(), _INVERSE[orientation]
    if inverse is not None:
        image = image.transpose(inverse)
    return pictures.encoded(kind, image, exif=pictures.exif(orientation=orientation), **options)


def is_upright(content: bytes) -> bool:
    """Return whether this is ``pictures.picture()``, as far as its encoding permits."""
    image = pictures.opened(content).convert("RGB")
    left, right = image.getpixel((5, 20)), image.getpixel((54, 20))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    return image.size == (60, 40) and left[0] > 200 > left[2] and right[2] > 200 > right[0] and not image.getexif()
