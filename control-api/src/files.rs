//! Files that are read whole, up to a bound: whatever path somebody gives (`/dev/zero`, a log), no
//! more than that is held.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or has more than `most`.
pub(crate) fn read(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more shows that there is more. What the file says of its size may be wrong.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let why = format!("it has more than {most} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, has more than `most` bytes, or is no UTF-8.
pub(crate) fn read_text(path: &Path, most: usize) -> Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8; write it as text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let path = std::env::temp_dir().join(format!("plenum-files-{}", std::process::id()));
        std::fs::write(&path, b"1234\xff").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"1234\xff");
        let error = read(&path, 4).unwrap_err().to_string();
        assert_eq!(error, "it has more than 4 bytes");
        assert_eq!(
            read_text(&path, 5).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 5).unwrap_err().kind(), ErrorKind::NotFound);
        // One without an end, and of a size that says nothing.
        let endless = read(Path::new("/dev/zero"), 1 << 20);
        assert_eq!(endless.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
