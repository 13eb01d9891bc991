//! A WebSocket client that says exactly what it is told to say.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use super::headers;

/// No answer takes this long, on however busy a machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection to the server.
pub struct Client {
    pub socket: WebSocket<TcpStream>,
    /// What goes with each request.
    pub headers: Value,
}

/// What came from the server.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Text(Value),
    Binary(Vec<u8>),
    /// The end, with the code and the reason if there are any.
    Closed(Option<(u16, String)>),
}

impl Client {
    /// Connects at that path.
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("ws://{address}{path}").into_client_request().unwrap();
        let (socket, _) = client::client(request, stream).unwrap();
        Self { socket, headers: headers() }
    }

    /// Sends a request and returns the whole reply.
    #[track_caller]
    pub fn say(&mut self, request: &Value) -> Value {
        self.send(Message::text(request.to_string()));
        match self.next() {
            Frame::Text(reply) => reply,
            other => panic!("{request}: {other:?}"),
        }
    }

    /// Asks for something, insists on the status and returns the body.
    #[track_caller]
    pub fn ask(&mut self, status: u16, action: &str, body: Value) -> Value {
        let request = json!({"action": action, "headers": self.headers, "body": body});
        let mut reply = self.say(&request);
        assert_eq!(reply["headers"]["status"], status, "{request}: {reply}");
        assert_eq!(reply["request"]["action"], action, "{reply}");
        assert_eq!(reply["request"]["body"], body, "{reply}");
        assert_eq!(reply["request"]["api"], "v2", "{reply}");
        reply["body"].take()
    }

    /// Asks for something and insists on a refusal with that exception.
    #[track_caller]
    pub fn refused(&mut self, status: u16, action: &str, body: Value, exception: &str) {
        let refusal = self.ask(status, action, body);
        assert_eq!(refusal["exception"], exception, "{refusal}");
        assert!(refusal.get("error").is_some(), "{refusal}");
    }

    pub fn send(&mut self, message: Message) {
        self.socket.send(message).unwrap();
    }

    /// What comes next, pings and pongs aside.
    #[track_caller]
    pub fn next(&mut self) -> Frame {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return Frame::Text(serde_json::from_str(text.as_str()).unwrap());
                }
                Ok(Message::Binary(bytes)) => return Frame::Binary(bytes.to_vec()),
                Ok(Message::Close(frame)) => {
                    let told = |it: CloseFrame| (it.code.into(), it.reason.to_string());
                    return Frame::Closed(frame.map(told));
                }
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return Frame::Closed(None),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Insists on the end of the connection, with that code.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) {
        loop {
            if let Frame::Closed(told) = self.next() {
                assert_eq!(told.map(|(code, _)| code), Some(code));
                return;
            }
        }
    }
}
