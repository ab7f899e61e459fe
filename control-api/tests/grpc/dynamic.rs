//! Calls without their Rust types: messages by descriptors, bytes on the wire.

use bytes::{Buf as _, BufMut as _};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::support::Bench;

/// Every method of the contract.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let ours = |package: &str| package == "plenum.v1";
    let services: Vec<_> = pool.services().collect();
    services
        .iter()
        .filter(|service| ours(service.package_name()))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// `RoomService/CreateRoom`.
pub(crate) fn short(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

/// Sets a field, or one of a message below: `room.name`.
pub(crate) fn set(message: &mut DynamicMessage, path: &str, value: Value) {
    match path.split_once('.') {
        None => message.set_field_by_name(path, value),
        Some((first, rest)) => match message.get_field_by_name_mut(first) {
            Some(Value::Message(below)) => set(below, rest, value),
            other => panic!("{path}: {other:?}"),
        },
    }
}

/// The text of a field of an answer.
pub(crate) fn text(message: &DynamicMessage, path: &str) -> String {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = message.get_field_by_name(first).unwrap();
    match (value.as_ref(), rest) {
        (Value::String(text), "") => text.clone(),
        (Value::Message(below), rest) => text_below(below, rest),
        (other, _) => panic!("{path}: {other:?}"),
    }
}

fn text_below(message: &DynamicMessage, path: &str) -> String {
    text(message, path)
}

/// Makes a call, a stream's first answer counting as its answer.
pub(crate) async fn call(
    bench: &Bench,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    timeout: Option<&str>,
) -> Result<DynamicMessage, Status> {
    let mut grpc = tonic::client::Grpc::new(bench.channel.clone());
    grpc.ready().await.unwrap();
    let path = format!("/plenum.v1.{}", short(method)).parse().unwrap();
    let mut request: Request<Vec<u8>> = bench.request(message.encode_to_vec());
    if let Some(timeout) = timeout {
        let timeout = timeout.parse().unwrap();
        request.metadata_mut().insert("grpc-timeout", timeout);
    }
    let bytes = if method.is_server_streaming() {
        let answer = grpc.server_streaming(request, path, Bytes).await?;
        answer.into_inner().message().await?.unwrap_or_default()
    } else {
        grpc.unary(request, path, Bytes).await?.into_inner()
    };
    Ok(DynamicMessage::decode(method.output(), &bytes[..]).unwrap())
}

/// Messages as they are on the wire.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
