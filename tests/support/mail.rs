//! A mail server that speaks SMTP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The behaviour of a mail server.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    /// It accepts mails.
    Takes,
    /// It rejects every recipient.
    Refuses,
    /// It accepts connections, but never responds.
    SaysNothing,
}

/// A mail server that stores its mails.
pub struct MailServer {
    /// Its port.
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    mails: Arc<Mutex<Vec<String>>>,
    /// The number of mails that were waited for.
    awaited: AtomicUsize,
    task: tokio::task::JoinHandle<()>,
}

impl MailServer {
    /// Starts a mail server.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::<Mutex<Vec<String>>>::default();
        let (kept, manner) = (mails.clone(), Arc::new(Mutex::new(manner)));
        let manners = manner.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A client that disconnects is not an error of the server.
                let manner = *manners.lock().unwrap();
                tokio::spawn(serve(socket, manner, kept.clone()));
            }
        });
        Self { port, manner, mails, awaited: AtomicUsize::new(0), task }
    }

    /// Changes the behaviour for new connections.
    pub fn change_manner(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    /// Waits until this many mails have arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<String> {
        for _ in 0..1200 {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} of {count} mails have come", self.mails().len());
    }

    /// Waits for one more mail, and reads the code in it.
    pub async fn next_code(&self) -> String {
        let count = self.awaited.fetch_add(1, Ordering::SeqCst) + 1;
        let mail = self.wait_for(count).await.pop().unwrap();
        let (_, code) = mail.split_once("/user/email/update?code=").unwrap();
        code.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: TcpStream, manner: Manner, mails: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (reader, mut writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    if manner == Manner::SaysNothing {
        while lines.next_line().await?.is_some() {}
        return Ok(());
    }
    writer.write_all(b"220 mail.example.org ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => b"250 mail.example.org\r\n",
            "RCPT" if manner == Manner::Refuses => b"550 no such\tmailbox\r\n",
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail += &line;
                    mail.push('\n');
                }
                // Reverses the only encoding that a mail of plain ASCII with a long line gets.
                mails.lock().unwrap().push(mail.replace("=\n", "").replace("=3D", "="));
                b"250 kept\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        writer.write_all(answer).await?;
    }
    Ok(())
}
