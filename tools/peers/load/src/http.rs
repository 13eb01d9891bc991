//! As much HTTP as the load needs: one connection, kept alive, answers with a length.

use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::Result;

/// No answer of these APIs has as many headers.
const HEADERS_MAX: usize = 32;

/// Bytes asked for in one read.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server on this machine.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    /// What was read; it begins with the last answer.
    read: Vec<u8>,
    request: Vec<u8>,
    /// Headers of every request, each with its line end.
    headers: String,
}

/// Where in what was read an answer is.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    status: u16,
    body: Range<usize>,
}

/// An answer, as long as nothing else is asked.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

impl Http {
    /// Connects to `port`; sends `headers` with every request.
    pub async fn connect(port: u16, headers: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let headers = format!("Host: 127.0.0.1:{port}\r\n{headers}");
        Ok(Self { stream, read: Vec::new(), request: Vec::new(), headers })
    }

    /// Sends a request and reads its answer; `first` is the first line but its version.
    /// The body is what `write` adds.
    pub async fn exchange(
        &mut self,
        first: &str,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Answer<'_>> {
        let mut body = Vec::new();
        write(&mut body);
        self.request.clear();
        let head =
            format!("{first} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n", self.headers, body.len());
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(&body);
        self.stream.write_all(&self.request).await?;
        self.read.clear();
        loop {
            if let Some(frame) = frame(&self.read)? {
                if self.read.len() > frame.body.end {
                    return Err("more than one answer to a request".into());
                }
                let body = &self.read[frame.body];
                return Ok(Answer { status: frame.status, body });
            }
            self.read.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(format!("the server hung up during {first}").into());
            }
        }
    }
}

impl Answer<'_> {
    /// The body, if the status is one of `statuses`.
    pub fn with_status(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(self.body);
        Err(format!("status {} where one of {statuses:?} is due: {body}", self.status).into())
    }
}

/// The answer at the beginning of `read`, when all of it is there.
fn frame(read: &[u8]) -> Result<Option<Frame>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(read)? else { return Ok(None) };
    let status = response.code.ok_or("an answer without a status")?;
    let length = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(length) => std::str::from_utf8(length.value)?.trim().parse()?,
        None if status == 204 => 0,
        None => return Err("an answer without a length".into()),
    };
    let body = head..head + length;
    Ok((read.len() >= body.end).then_some(Frame { status, body }))
}

#[cfg(test)]
mod tests {
    use super::{Frame, frame};

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let whole = b"HTTP/1.1 201 Created\r\ncontent-length: 3\r\n\r\nabc";
        for end in 0..whole.len() {
            assert_eq!(frame(&whole[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(frame(whole).unwrap(), Some(Frame { status: 201, body: 43..46 }));
    }

    #[test]
    fn no_content_needs_no_length_and_nothing_else_does_without() {
        let none = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n";
        assert_eq!(frame(none).unwrap(), Some(Frame { status: 204, body: 38..38 }));
        frame(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err();
    }
}
