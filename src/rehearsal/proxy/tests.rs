//! Each fault as a client and a server see it, over real sockets.

use std::io::ErrorKind;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// A server that sends back what it gets, behind a proxy.
async fn echo() -> FaultProxy {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    FaultProxy::start(address).await.expect("a proxy")
}

async fn connected(proxy: &FaultProxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    assert_eq!(said_back(&mut stream, b"hello").await.expect("an answer"), b"hello");
    stream
}

async fn said_back(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(word).await?;
    let mut answer = vec![0; word.len()];
    tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.map_err(io::Error::from)??;
    Ok(answer)
}

/// What reading on gives: bytes, an end, or an error.
async fn read(stream: &mut TcpStream) -> io::Result<usize> {
    let mut byte = [0];
    tokio::time::timeout(SOON, stream.read(&mut byte)).await.map_err(io::Error::from)?
}

async fn is_silent(stream: &mut TcpStream, millis: u64) -> bool {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_millis(millis), stream.read(&mut byte)).await.is_err()
}

#[tokio::test]
async fn refused_port_really_refuses_and_is_the_same_afterwards() {
    let proxy = echo().await;
    let mut living = connected(&proxy).await;
    for _ in 0..3 {
        proxy.set(Fault::Refuse).await;
        let error = TcpStream::connect(proxy.address()).await.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(read(&mut living).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
        proxy.set(Fault::Pass).await;
        living = connected(&proxy).await;
    }
    proxy.set_for(Fault::Refuse, Scope::New).await;
    assert_eq!(said_back(&mut living, b"still").await.expect("an answer"), b"still");
}

#[tokio::test]
async fn cut_is_an_orderly_end_even_for_one_that_is_sending() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set_for(Fault::Cut, Scope::Living).await;
    stream.write_all(b"late").await.expect("the other side still throws bytes away");
    assert_eq!(read(&mut stream).await.expect("an end"), 0);
    connected(&proxy).await;
}

#[tokio::test]
async fn reset_is_a_reset() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Reset).await;
    assert_eq!(read(&mut stream).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
    let mut fresh = TcpStream::connect(proxy.address()).await.expect("the port still listens");
    assert_eq!(read(&mut fresh).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn stalled_connection_moves_nothing_and_goes_on_without_a_loss() {
    let proxy = echo().await;
    for way in [Way::Up, Way::Down, Way::Both] {
        let mut stream = connected(&proxy).await;
        proxy.set(Fault::Stall { way }).await;
        let before = proxy.counts();
        stream.write_all(b"frozen").await.expect("the system takes it");
        assert!(is_silent(&mut stream, 150).await, "{way:?}");
        let moved = proxy.counts().up - before.up;
        assert_eq!(moved, if way == Way::Down { 6 } else { 0 }, "{way:?}");
        proxy.set(Fault::Pass).await;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.expect("the rest");
        assert_eq!(&answer, b"frozen", "{way:?}");
    }
}

#[tokio::test]
async fn sender_into_a_stall_is_held_up_and_the_proxy_keeps_little() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Stall { way: Way::Up }).await;
    let flood = vec![0; 64 << 20];
    let flooding = tokio::time::timeout(Duration::from_millis(500), stream.write_all(&flood)).await;
    assert!(flooding.is_err(), "64 MiB went somewhere");
    assert!(proxy.counts().up < 10);
}

#[tokio::test]
async fn trickle_keeps_its_rate() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Trickle { bytes_per_second: 10_000 }).await;
    let start = Instant::now();
    let answer = said_back(&mut stream, &[7; 5000]).await.expect("an answer");
    assert_eq!(answer, [7; 5000]);
    let took = start.elapsed().as_millis();
    // One way after the other, piece by piece.
    assert!((350..2000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn delay_delays_each_way_and_keeps_the_order() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Delay { millis: 100 }).await;
    let start = Instant::now();
    assert_eq!(said_back(&mut stream, b"one two three").await.expect("an answer"), b"one two three");
    let took = start.elapsed().as_millis();
    assert!((200..1000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn corruption_hits_one_byte_in_so_many() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = FaultProxy::start(server.local_addr().expect("an address")).await.expect("a proxy");
    proxy.set(Fault::Corrupt { one_in: 10 }).await;
    let mut client = TcpStream::connect(proxy.address()).await.expect("a connection");
    let (mut stream, _) = server.accept().await.expect("a connection");
    let mut got = Vec::new();
    for length in [25, 5] {
        client.write_all(&vec![0; length]).await.expect("the system takes it");
        let mut piece = vec![0; length];
        stream.read_exact(&mut piece).await.expect("bytes");
        got.extend(piece);
    }
    let hit: Vec<usize> = (0..30).filter(|at| got[*at] != 0).collect();
    assert_eq!(hit, [9, 19, 29]);
}

#[tokio::test]
async fn server_that_is_not_there_is_a_reset_and_may_come_later() {
    let place = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = place.local_addr().expect("an address");
    drop(place);
    let proxy = FaultProxy::start(address).await.expect("a proxy");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy is there");
    assert_eq!(read(&mut stream).await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connections_and_bytes_are_counted_and_end_with_the_proxy() {
    let proxy = echo().await;
    let (mut first, second) = (connected(&proxy).await, connected(&proxy).await);
    assert_eq!(proxy.counts(), Counts { connections: 2, up: 10, down: 10 });
    drop(second);
    let patience = Instant::now() + SOON;
    while proxy.open() > 1 {
        assert!(Instant::now() < patience, "the closed connection is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(proxy);
    match read(&mut first).await {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut),
    }
}
