//! The farm's worker: carries out actions in a folder of its own, with nothing else than what they name, and tells of them
//! as it is told to.

use super::farm::{Answer, Call, Fault, Shared, State, sha256};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::longrunning as lro;
use bazel_remote_apis::google::protobuf::{Any, Empty};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, iter, pending};
use lro::operations_server::Operations;
use prost::Message;
use re::execution_server::Execution;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tonic::{Code, Request, Response, Status};

type News = BoxStream<'static, Result<lro::Operation, Status>>;

fn blob(state: &State, digest: Option<&re::Digest>) -> Result<Vec<u8>, Status> {
    let digest = digest.ok_or_else(|| Status::invalid_argument("no digest"))?;
    let found = state.blobs.get(&digest.hash).cloned();
    found
        .or_else(|| (digest.size_bytes == 0).then(Vec::new))
        .ok_or_else(|| Status::failed_precondition("a blob is missing"))
}

fn message<M: Message + Default>(state: &State, digest: Option<&re::Digest>) -> Result<M, Status> {
    M::decode(blob(state, digest)?.as_slice()).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn put(state: &mut State, data: Vec<u8>) -> Option<re::Digest> {
    let digest = re::Digest { hash: sha256(&data), size_bytes: i64::try_from(data.len()).unwrap() };
    state.blobs.insert(digest.hash.clone(), data);
    Some(digest)
}

/// Lays out the input root.
fn stage(state: &State, folder: &re::Directory, at: &Path) -> Result<(), Status> {
    fs::create_dir_all(at).unwrap();
    for file in &folder.files {
        fs::write(at.join(&file.name), blob(state, file.digest.as_ref())?).unwrap();
        let mode = if file.is_executable { 0o755 } else { 0o644 };
        fs::set_permissions(at.join(&file.name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for link in &folder.symlinks {
        symlink(&link.target, at.join(&link.name)).unwrap();
    }
    for below in &folder.directories {
        stage(state, &message(state, below.digest.as_ref())?, &at.join(&below.name))?;
    }
    Ok(())
}

/// A folder as it was left, and all below it.
fn collect(state: &mut State, at: &Path, children: &mut Vec<re::Directory>) -> re::Directory {
    let mut folder = re::Directory::default();
    let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap().into_os_string().into_string().unwrap();
            folder.symlinks.push(re::SymlinkNode { name, target, node_properties: None });
        } else if kind.is_dir() {
            let below = collect(state, &entry.path(), children);
            folder.directories.push(re::DirectoryNode { name, digest: put(state, below.encode_to_vec()) });
            children.push(below);
        } else {
            let is_executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
            let digest = put(state, fs::read(entry.path()).unwrap());
            folder.files.push(re::FileNode { name, digest, is_executable, node_properties: None });
        }
    }
    folder
}

/// Carries out an action.
fn carry_out(shared: &Shared, action: &re::Action) -> Result<re::ActionResult, Status> {
    let folder = tempfile::Builder::new().prefix("farm-").tempdir().unwrap();
    let root = folder.path().join("root");
    let command: re::Command = {
        let state = shared.0.lock().unwrap();
        stage(&state, &message(&state, action.input_root_digest.as_ref())?, &root)?;
        message(&state, action.command_digest.as_ref())?
    };
    for path in &command.output_paths {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    }
    let output = std::process::Command::new(&command.arguments[0])
        .args(&command.arguments[1..])
        .env_clear()
        .envs(command.environment_variables.iter().map(|variable| (&variable.name, &variable.value)))
        .current_dir(root.join(&command.working_directory))
        .output()
        .unwrap();
    let mut state = shared.0.lock().unwrap();
    let mut result = re::ActionResult { exit_code: output.status.code().unwrap_or(137), ..re::ActionResult::default() };
    result.stdout_digest = put(&mut state, output.stdout);
    result.stderr_digest = put(&mut state, output.stderr);
    for path in &command.output_paths {
        let at = root.join(path);
        let Ok(metadata) = fs::symlink_metadata(&at) else { continue };
        let path = path.clone();
        if metadata.is_symlink() {
            let target = fs::read_link(&at).unwrap().into_os_string().into_string().unwrap();
            result.output_symlinks.push(re::OutputSymlink { path, target, node_properties: None });
        } else if metadata.is_dir() {
            let mut children = vec![];
            let root = collect(&mut state, &at, &mut children);
            let tree_digest = put(&mut state, re::Tree { root: Some(root), children }.encode_to_vec());
            result.output_directories.push(re::OutputDirectory { path, tree_digest, ..re::OutputDirectory::default() });
        } else {
            let is_executable = metadata.permissions().mode() & 0o111 != 0;
            let digest = put(&mut state, fs::read(&at).unwrap());
            result.output_files.push(re::OutputFile { path, digest, is_executable, ..re::OutputFile::default() });
        }
    }
    Ok(result)
}

fn told(name: &str, stage: re::execution_stage::Value, log: &str) -> lro::Operation {
    let metadata = re::ExecuteOperationMetadata {
        stage: stage as i32,
        stdout_stream_name: log.to_owned(),
        ..re::ExecuteOperationMetadata::default()
    };
    let metadata = Any { type_url: "type.googleapis.com/x".into(), value: metadata.encode_to_vec() };
    lro::Operation { name: name.to_owned(), metadata: Some(metadata), ..lro::Operation::default() }
}

/// The end of an Operation.
fn ended(name: &str, result: Result<re::ActionResult, Status>, fault: Option<Fault>) -> lro::Operation {
    let mut response = match result {
        Ok(result) => re::ExecuteResponse { result: Some(result), ..re::ExecuteResponse::default() },
        Err(status) => {
            re::ExecuteResponse { status: Some(super::farm::status(status.code())), ..re::ExecuteResponse::default() }
        }
    };
    match fault {
        Some(Fault::SaysOfBlob(code)) => response.status = Some(super::farm::status(code)),
        Some(Fault::Silent) => response.result = None,
        Some(Fault::Other) => {
            let result = response.result.as_mut().unwrap();
            result.output_files.push(re::OutputFile {
                path: "../stray".into(),
                digest: result.stdout_digest.clone(),
                ..re::OutputFile::default()
            });
        }
        _ => {}
    }
    let response = Any { type_url: "type.googleapis.com/x".into(), value: response.encode_to_vec() };
    let mut operation = told(name, re::execution_stage::Value::Completed, "");
    operation.done = true;
    operation.result = Some(lro::operation::Result::Response(response));
    operation
}

#[tonic::async_trait]
impl Execution for Shared {
    type ExecuteStream = News;
    type WaitExecutionStream = News;

    async fn execute(&self, request: Request<re::ExecuteRequest>) -> Answer<News> {
        let fault = self.enter(Call::Execute, &request).await?;
        let request = request.into_inner();
        let name = request.action_digest.clone().unwrap().hash;
        let action: re::Action = {
            let mut state = self.0.lock().unwrap();
            state.anew.push(request.skip_cache_lookup);
            message(&state, request.action_digest.as_ref())?
        };
        use re::execution_stage::Value::{Executing, Queued};
        if fault == Some(Fault::Endless) {
            return Ok(Response::new(iter([Ok(told(&name, Queued, ""))]).chain(pending()).boxed()));
        }
        // On a thread of its own: other calls are answered meanwhile.
        let (tell, result) = tokio::sync::oneshot::channel();
        let shared = self.clone();
        std::thread::spawn(move || {
            let _ = tell.send(carry_out(&shared, &action));
        });
        let heard_out = {
            let state = self.0.lock().unwrap();
            state.streamed.as_ref().map(|_| state.heard_out.clone())
        };
        let log = if heard_out.is_some() { "logs/stdout" } else { "" };
        let first = iter([Ok(told(&name, Queued, "")), Ok(told(&name, Executing, log))]);
        let shared = self.clone();
        let end = async move {
            let result = result.await.unwrap();
            if let Some(heard_out) = heard_out {
                heard_out.notified().await;
            }
            let broken = fault == Some(Fault::Breaks) || shared.0.lock().unwrap().breaks;
            shared.0.lock().unwrap().operations.insert(name.clone(), ended(&name, result.clone(), None));
            if broken { Err(Status::unavailable("told to break")) } else { Ok(ended(&name, result, fault)) }
        };
        Ok(Response::new(first.chain(futures_util::stream::once(end)).boxed()))
    }

    async fn wait_execution(&self, request: Request<re::WaitExecutionRequest>) -> Answer<News> {
        let fault = self.enter(Call::WaitExecution, &request).await?;
        let name = request.into_inner().name;
        if fault == Some(Fault::Breaks) {
            let first = Ok(told(&name, re::execution_stage::Value::Executing, ""));
            return Ok(Response::new(iter([first, Err(Status::unavailable("told to break"))]).boxed()));
        }
        let found = self.0.lock().unwrap().operations.get(&name).cloned();
        let found = found.ok_or_else(|| Status::not_found("no such operation"))?;
        Ok(Response::new(iter([Ok(found)]).boxed()))
    }
}

#[tonic::async_trait]
impl Operations for Shared {
    async fn cancel_operation(&self, request: Request<lro::CancelOperationRequest>) -> Answer<Empty> {
        self.0.lock().unwrap().cancelled.push(request.into_inner().name);
        Ok(Response::new(Empty {}))
    }

    async fn list_operations(&self, _: Request<lro::ListOperationsRequest>) -> Answer<lro::ListOperationsResponse> {
        Err(Status::new(Code::Unimplemented, "nobody asks for it"))
    }

    async fn get_operation(&self, _: Request<lro::GetOperationRequest>) -> Answer<lro::Operation> {
        Err(Status::new(Code::Unimplemented, "nobody asks for it"))
    }

    async fn delete_operation(&self, _: Request<lro::DeleteOperationRequest>) -> Answer<Empty> {
        Err(Status::new(Code::Unimplemented, "nobody asks for it"))
    }

    async fn wait_operation(&self, _: Request<lro::WaitOperationRequest>) -> Answer<lro::Operation> {
        Err(Status::new(Code::Unimplemented, "nobody asks for it"))
    }
}
