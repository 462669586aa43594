//! A QR code as a PNG, one byte for each of its pixels: what the address in a PIN's `qr` leads to.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use qrcode::{Color, QrCode};

/// Pixels for each module, enough for a telephone's camera.
const SCALE: usize = 8;
/// Modules of white around it, as the standard has it.
const QUIET: usize = 4;

/// The picture of `text`.
///
/// # Errors
///
/// It is too long.
pub(crate) fn png(text: &str) -> io::Result<Vec<u8>> {
    let code = QrCode::new(text).map_err(io::Error::other)?;
    let (modules, width) = (code.to_colors(), code.width());
    let side = (width + 2 * QUIET) * SCALE;
    let dark = |x: usize, y: usize| {
        let (x, y) = ((x / SCALE).checked_sub(QUIET), (y / SCALE).checked_sub(QUIET));
        matches!((x, y), (Some(x), Some(y)) if x < width && y < width && modules[y * width + x] == Color::Dark)
    };
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    for y in 0..side {
        let row: Vec<u8> = (0..side).map(|x| if dark(x, y) { 0 } else { 255 }).collect();
        // Each row begins with its filter: none.
        pixels.write_all(&[0])?;
        pixels.write_all(&row)?;
    }

    let side = u32::try_from(side).map_err(io::Error::other)?;
    let mut header = Vec::new();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    // Eight bits of grey, the one way to compress, the one set of filters, no interlacing.
    header.extend([8, 0, 0, 0, 0]);

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header)?;
    chunk(&mut png, *b"IDAT", &pixels.finish()?)?;
    chunk(&mut png, *b"IEND", &[])?;
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> io::Result<()> {
    png.extend(u32::try_from(data.len()).map_err(io::Error::other)?.to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&kind);
    sum.update(data);
    png.extend(kind);
    png.extend(data);
    png.extend(sum.sum().to_be_bytes());
    Ok(())
}
