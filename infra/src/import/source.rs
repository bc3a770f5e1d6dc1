//! The sources of foreign events. Each becomes a file of lines that can be read repeatedly.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use kymograph_app::{Error, Result};

use super::ImportSource;
use super::copy::{copy_file, copy_log};
use super::form::LineForm;
use super::line::Line;
use crate::progress::Report;

/// The maximum length of a line in bytes.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// The size of the read buffer in bytes.
const READ_BYTES: usize = 256 * 1024;

/// Byte order marks.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const OTHER_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The place of a line.
#[derive(Clone, Copy)]
pub(super) struct LinePlace {
    pub(super) offset: u64,
    pub(super) length: u32,
    /// The line number, from 1.
    pub(super) number: u32,
    /// A hash of its text: the file may change between two reads.
    hash: u64,
}

fn hash_of(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

/// A file of events.
pub(super) struct EventFile {
    file: Arc<File>,
    form: LineForm,
    /// The number of lines, 0 if unknown.
    count: u64,
    /// Whether lines are identified by number in messages.
    has_numbers: bool,
    /// The places of the events of a log, by number.
    places: Vec<String>,
}

impl EventFile {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The origin of an event, for messages.
    pub(super) fn place(&self, number: u64, line: &Line<'_>) -> String {
        if self.has_numbers {
            return format!("line {number}");
        }
        let Line { aggregate_type, aggregate_id, sequence, .. } = line;
        format!("{aggregate_type} {aggregate_id}, sequence {sequence}")
    }

    /// The origin of the line of this number.
    pub(super) fn place_of(&self, number: u64) -> String {
        let place = usize::try_from(number).ok().and_then(|number| self.places.get(number - 1));
        place.cloned().unwrap_or_else(|| format!("line {number}"))
    }

    /// The lines from the start.
    pub(super) fn lines(&self) -> RawLines {
        RawLines::of_file(self.file.clone())
    }

    /// The line at a place.
    pub(super) fn read(&self, place: LinePlace, text: &mut Vec<u8>) -> Result<()> {
        text.resize(place.length as usize, 0);
        let read = self.file.read_exact_at(text, place.offset);
        if read.is_err() || hash_of(text) != place.hash {
            let number = place.number;
            return Err(Error::invalid(format!("line {number}: changed during the import")));
        }
        Ok(())
    }

    /// The JSON of a line.
    pub(super) fn json<'t>(&self, number: u64, text: &'t [u8]) -> Result<Cow<'t, [u8]>> {
        let json = self.form.json(text);
        json.ok_or_else(|| Error::invalid(format!("line {number}: invalid COPY escape")))
    }
}

/// Parses the event of a line.
pub(super) fn event(number: u64, json: &[u8]) -> Result<Line<'_>> {
    Line::parse(json).map_err(|error| Error::invalid(format!("line {number}: not an event: {error}")))
}

/// A raw line.
pub(super) struct RawLine<'a> {
    pub(super) number: u64,
    pub(super) text: &'a [u8],
    pub(super) place: LinePlace,
}

/// Reads lines.
pub(super) struct RawLines {
    reader: BufReader<Box<dyn Read>>,
    number: u64,
    offset: u64,
    text: Vec<u8>,
}

impl RawLines {
    fn of_file(file: Arc<File>) -> Self {
        Self::of(Box::new(FromStart { file, offset: 0 }))
    }

    #[cfg(test)]
    pub(super) fn of_text(text: &[u8]) -> Self {
        Self::of(Box::new(std::io::Cursor::new(text.to_owned())))
    }

    fn of(reader: Box<dyn Read>) -> Self {
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        Self { reader, number: 0, offset: 0, text: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Result<Option<RawLine<'_>>> {
        self.text.clear();
        let mut limited = (&mut self.reader).take(MAX_LINE as u64);
        let read = limited.read_until(b'\n', &mut self.text).map_err(Error::internal)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if read == MAX_LINE {
            return Err(Error::invalid(format!("line {number}: is longer than {MAX_LINE} bytes")));
        }
        let skipped = if number == 1 { mark(&self.text)? } else { 0 };
        let text = &self.text[skipped..];
        let place = LinePlace {
            offset: self.offset + skipped as u64,
            length: u32::try_from(text.len()).map_err(Error::internal)?,
            number: u32::try_from(number).map_err(Error::internal)?,
            hash: hash_of(text),
        };
        self.offset += read as u64;
        Ok(Some(RawLine { number, text, place }))
    }
}

/// The length of the byte order mark of a text.
fn mark(text: &[u8]) -> Result<usize> {
    if OTHER_MARKS.iter().any(|mark| text.starts_with(mark)) {
        return Err(Error::invalid("line 1: the file is written in UTF-16, not in UTF-8"));
    }
    Ok(if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 })
}

/// A file read from its start, independent of other readers.
struct FromStart {
    file: Arc<File>,
    offset: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Opens a source. Anything but a regular file is copied to one.
pub(super) async fn open(
    source: &ImportSource,
    form: Option<LineForm>,
    report: Report<'_>,
) -> Result<EventFile> {
    let (file, places) = match source {
        ImportSource::File(path) => {
            let unreadable = |error| Error::invalid(format!("{}: {error}", path.display()));
            let file = File::open(path).map_err(unreadable)?;
            let kind = file.metadata().map_err(unreadable)?.file_type();
            if kind.is_dir() {
                return Err(unreadable(io::ErrorKind::IsADirectory.into()));
            }
            (if kind.is_file() { file } else { copy_file(file)? }, Vec::new())
        }
        ImportSource::Input => (copy_file(std::io::stdin())?, Vec::new()),
        ImportSource::Log(log) => copy_log(&**log, report).await?,
    };
    let has_numbers = !matches!(source, ImportSource::Log(_));
    let file = Arc::new(file);
    let form = match form {
        _ if !has_numbers => LineForm::Json,
        Some(form) => form,
        None => LineForm::of(RawLines::of_file(file.clone()))?,
    };
    Ok(EventFile { file, form, count: places.len() as u64, has_numbers, places })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_changes_after_it_was_checked_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"one\ntwo\n", 0).unwrap();
        let file = EventFile {
            file: Arc::new(file),
            form: LineForm::Json,
            count: 0,
            has_numbers: true,
            places: Vec::new(),
        };
        let mut lines = file.lines();
        let one = lines.next().unwrap().unwrap().place;
        let two = lines.next().unwrap().unwrap().place;
        let mut text = Vec::new();
        file.file.write_all_at(b"2", 4).unwrap();
        file.read(one, &mut text).unwrap();
        let error = file.read(two, &mut text).unwrap_err();
        assert_eq!(error.message(), "line 2: changed during the import");
    }
}
